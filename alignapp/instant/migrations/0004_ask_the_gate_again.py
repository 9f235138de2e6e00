from django.db import migrations


def ask_again(apps, schema_editor):
    """Let the gate say how much of a vector may act that it refused as a whole."""
    vectors = apps.get_model("instant", "InstantVector").objects
    vectors.filter(state="quarantined").update(state="new", gate=None)


def ask_about_all(apps, schema_editor):
    """Let an earlier program, which knows no share, ask about the whole of what passed weakened."""
    vectors = apps.get_model("instant", "InstantVector").objects
    vectors.filter(state="passed", gate__share__lt=1).update(state="new", gate=None)


class Migration(migrations.Migration):

    dependencies = [
        ('instant', '0003_where_it_starts'),
    ]

    operations = [
        migrations.RunPython(ask_again, ask_about_all),
    ]
