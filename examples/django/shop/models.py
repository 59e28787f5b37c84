"""What the shop knows."""

from django.db import models


class Order(models.Model):
    """What somebody has ordered."""

    email = models.EmailField()
    name = models.CharField(max_length=100)
    item = models.CharField(max_length=100)
    invoiced = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"order {self.pk}"
