from django.db import migrations


def ask_again(apps, schema_editor):
    """Let the gate say how much of a vector may act that it refused as a whole."""
    vectors = apps.get_model("instant", "InstantVector").objects
    vectors.filter(state="quarantined").update(state="new", gate=None)


class Migration(migrations.Migration):

    dependencies = [
        ('instant', '0003_where_it_starts'),
    ]

    operations = [
        migrations.RunPython(ask_again, migrations.RunPython.noop),
    ]
