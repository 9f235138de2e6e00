from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('campaigns', '0004_found'),
    ]

    operations = [
        migrations.AddField(
            model_name='campaign',
            name='kind',
            field=models.CharField(blank=True, choices=[('adapter', 'Adapter'), ('vector', 'Steering vector'), ('personality', 'Personality vector'), ('values', 'Values direction')], default='', max_length=12),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name='enrolment',
            name='state',
            field=models.CharField(choices=[('waiting', 'Waits for a wave'), ('learning', 'Under way'), ('moved', 'Proven and switched on'), ('ready', 'Proven, not switched on'), ('kept', 'Proven again'), ('not_proven', 'Not proven; what acted stays'), ('lost', 'Lost win rate; what acted stays'), ('refused', 'Refused by the safety gate'), ('failed', 'The job failed'), ('skipped', 'Left out')], default='waiting', max_length=10),
        ),
    ]
