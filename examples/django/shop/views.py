"""What the shop answers."""

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mailer import on_commit, send
from shop.models import Order


class SoldOutError(Exception):
    """There is no more of it."""


@csrf_exempt
@require_POST
def order(request: HttpRequest) -> JsonResponse:
    """Take an order; the mail leaves when it is committed, and not at all when it is taken back."""
    try:
        with transaction.atomic():
            placed = Order.objects.create(
                email=request.POST["email"], name=request.POST["name"], item=request.POST["item"]
            )
            on_commit(lambda: confirm(placed))
            take_from_stock(placed.item)
    except SoldOutError as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse({"order": placed.pk}, status=201)


def confirm(placed: Order) -> None:
    """Say that the order was taken: one message, also where this is called again."""
    context = {"name": placed.name, "item": placed.item, "number": placed.pk}
    send("order", to=placed.email, context=context, key=f"order-{placed.pk}")


def take_from_stock(item: str) -> None:
    """Raise `SoldOutError` where there is none left."""
    if item == "unicorn":
        raise SoldOutError("there are no unicorns left")
