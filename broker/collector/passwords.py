"""Passwords: argon2id, long, and not the ones everybody tries.

Source: NIST SP 800-63B-4 §3.1.1 (15 characters where a password is all there is, at least 64 allowed, no
rules of composition, no forced change, a list of common ones refused); OWASP ASVS 5.0 V6.2. The list, and
what can be made of it by the usual tricks, is zxcvbn's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache

from broker.collector.wording import Told

SHORTEST, LONGEST = 15, 128
# Guesses (10^n) below which a password is as good as on the list: what an online attacker could ever try.
_FEWEST_GUESSES_LOG10 = 10.0
# Each check takes 64 MiB for a moment: a flood of logins must not take the machine's memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def problem(password: str, *, context: Sequence[str] = ()) -> str | None:
    """Return why this password is not taken, None where it is.

    Args:
        context: words a guesser would begin with: the account's name, the site's.
    """
    if len(password) < SHORTEST:
        return Told("a password has at least {n} characters; four words in a row make a good one", n=SHORTEST)
    if len(password) > LONGEST:
        return Told("a password has at most {n} characters", n=LONGEST)
    if any(character in password for character in "\n\r\0"):
        return Told("a password is one line of text")
    words = [word for word in ("nearmiss", *context) if len(word) > 2]
    own = re.sub("|".join(re.escape(word) for word in words), "", password, flags=re.IGNORECASE)
    if len(own) < SHORTEST // 2:
        return Told("this password is little more than the account's or the site's name")
    from zxcvbn import zxcvbn

    # The library takes 72 characters and its time grows with the square of them; 40 tell enough.
    found = zxcvbn(password[:40], user_inputs=words)
    if float(found["guesses_log10"]) < _FEWEST_GUESSES_LOG10:
        return Told("this password is among those that are tried first: take one nobody would think of")
    return None


def hashed(password: str) -> str:
    """Return the argon2id hash (RFC 9106, second recommended option) to keep."""
    with _AT_ONCE:
        return str(_hasher().hash(password))


def fits(kept: str | None, password: str) -> bool:
    """Return whether a password is the one kept; it takes as long where there is none."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    with _AT_ONCE:
        try:
            return bool(_hasher().verify(kept or _nobodys(), password[: LONGEST + 1])) and kept is not None
        except (Argon2Error, InvalidHashError):
            return False


def outdated(kept: str) -> bool:
    """Return whether a hash was made with weaker settings than today's."""
    return bool(_hasher().check_needs_rehash(kept))


@cache
def _hasher():  # type: ignore[no-untyped-def]  # the library's class, imported where it is needed
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return str(_hasher().hash("what nobody's account is compared with"))
