import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instant', '0004_ask_the_gate_again'),
    ]

    operations = [
        migrations.AddField(
            model_name='instantvector',
            name='taste',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='instant.commontaste'),
        ),
    ]
