from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('adapters', '0009_proved_at'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='artifact',
            index=models.Index(condition=models.Q(('damage', ''), _negated=True), fields=['-created_at'], name='artifact_damaged'),
        ),
    ]
