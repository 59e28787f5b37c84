"""The first table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the orders."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254)),
                ("name", models.CharField(max_length=100)),
                ("item", models.CharField(max_length=100)),
                ("invoiced", models.BooleanField(default=False)),
            ],
        ),
    )
