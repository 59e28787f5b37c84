"""What somebody typed into a page, or sent as if they had: the fields of a form, within bounds."""

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def fields(request: Request, most: int, *, files: int = 0) -> tuple[dict[str, str], bytes]:
    """Read up to *most* fields, and the octets of the one file where *files* allows it.

    Both are empty for what is no form: some clients send anything. A field whose text cannot be written
    as UTF-8, by a charset that makes half characters, is none either.
    """
    found, file = {}, b""
    try:
        async with request.form(max_files=files, max_fields=most) as form:
            for name, value in form.items():
                if isinstance(value, str):
                    value.encode()
                    found[name] = value
                else:
                    file = await value.read()
    except (HTTPException, ValueError):  # codecs raise what they like, UnicodeError by the way
        return {}, b""
    return found, file
