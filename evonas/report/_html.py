"""The smallest HTML writer that escapes by default: text becomes markup only through `element` or `Html`."""

from __future__ import annotations

import html
from typing import final


@final
class Html(str):
    """Text that already is markup."""

    __slots__ = ()


def escape(content: str) -> Html:
    """Markup that shows `content` as it is; markup passes through."""
    return content if isinstance(content, Html) else Html(html.escape(content, quote=True))


def join(*parts: str, separator: str = "") -> Html:
    """Parts one after another, each escaped unless it is markup."""
    return Html(separator.join(escape(part) for part in parts))


def element(tag: str, *content: str, **attributes: str | None) -> Html:
    """One element. Attributes of value None are left out; a trailing or inner `_` becomes nothing or `-`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{join(*content)}</{tag}>")


def paragraph(*content: str, class_: str | None = None) -> Html:
    """A paragraph."""
    return element("p", *content, class_=class_)


def bullets(items: list[str]) -> Html:
    """An unnumbered list; nothing for no items."""
    return element("ul", *(element("li", item) for item in items)) if items else Html("")
