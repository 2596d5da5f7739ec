"""The part of the composition root that says what recall gathers from."""

import asyncio

from connectors.references.reader import References
from flows.gathering import ReferencedContext
from flows.ports import Gatherer
from flows.recalling import Recalling
from flows.settings_keys import SettingsError
from flows.settings_recall import Outside


def recalling(outside: Outside, loop: asyncio.AbstractEventLoop, *others: Gatherer) -> Recalling:
    """Recall over all sources and `others`; nothing is opened yet.

    Raises:
        SettingsError: When something can't be read as it is set.
    """
    try:
        references = References(outside.references)
    except ValueError as error:
        raise SettingsError(f"weir.references.roots: {error}") from None
    return Recalling([ReferencedContext(references), *others], loop, outside.recall)
