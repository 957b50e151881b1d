"""The contract of :class:`~workflow_core.ports.tokens.TokenPort`.

Inherit from :class:`TokenContract` in a class that pytest collects, and give its fixtures.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from attrs import evolve

from workflow_core.domain.access import Grant, Role
from workflow_core.domain.audit import Action, on_token
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.token import Token, new_token, presented
from workflow_core.errors import ConcurrentUpdate, DatabaseUnavailable
from workflow_core.testing.entities import AT
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workflow_core.ports.tokens import TokenPort

SECOND: Final = timedelta(seconds=1)
BOB: Final = Caller(name="bob", via=Via.CLI)
SCOPED: Final = (Grant(role=Role.OPERATOR, team="@dätä", names="iceberg.ads.*"), Grant(role=Role.VIEWER))


class BehindTokens(Protocol):
    """A look at what is really kept, without the port."""

    def token_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """By id: ``name``, ``digest``, ``revoked_by``."""
        ...

    def acts_on(self, token_id: str) -> Sequence[tuple[str, str, str]]:
        """What the audit has of one token, the first first: action, who, and how the request came."""
        ...


def a_token(**changes: Any) -> Token:
    """A complete, legal token."""
    token, _ = new_token("ci", SCOPED, at=AT, by="admin@example.com", expires_at=AT + SECOND)
    return evolve(token, **changes)


CALLS: Final[dict[str, Callable[[TokenPort], object]]] = {
    "add_token": lambda port: port.add_token(a_token()),
    "token": lambda port: port.token("0" * 16),
    "tokens": lambda port: port.tokens(),
    "revoke_token": lambda port: port.revoke_token("0" * 16, at=AT, by="b"),
}


class TokenContract:
    """Every promise of the port, as tests."""

    @pytest.fixture
    def port(self) -> TokenPort:
        """The implementation, empty."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, port: TokenPort) -> BehindTokens:
        """A look behind ``port``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> TokenPort:
        """The implementation, its database away."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"expires_at": None},
            {"grants": ()},
            {"created_at": AT.astimezone(timezone(timedelta(hours=9)))},
            {"revoked_at": AT + SECOND, "revoked_by": "ünï"},
        ],
        ids=str,
    )
    def test_a_token_comes_back_as_it_was(self, port: TokenPort, changes: dict[str, Any]) -> None:
        """Every part of it, the grants in their order, moments with their microseconds."""
        token = a_token(**changes)
        port.add_token(token)
        assert port.token(token.id) == token
        assert port.tokens() == (token,)

    def test_one_that_is_not_there_is_none(self, port: TokenPort) -> None:
        """Neither found nor revoked; an id is compared letter by letter."""
        token = a_token(id="abcdef0123456789")
        port.add_token(token)
        for other in ("0" * 16, "ABCDEF0123456789", "abcdef012345678%", ""):
            assert port.token(other) is None
            assert port.revoke_token(other, at=AT, by="b") is None
        assert port.token(token.id) == token

    def test_an_id_is_taken_once(self, port: TokenPort) -> None:
        """A second token of the id is refused, and changes nothing."""
        token = a_token()
        port.add_token(token)
        with pytest.raises(ConcurrentUpdate):
            port.add_token(a_token(id=token.id, name="other"))
        assert port.tokens() == (token,)

    def test_of_several_at_once_one_has_the_id(self, port: TokenPort) -> None:
        """Whoever comes later is refused."""
        tokens = [a_token(id="a" * 16, name=f"n{number}") for number in range(6)]
        assert together([partial(port.add_token, token) for token in tokens]).count(None) == 1
        assert len(port.tokens()) == 1

    def test_several_may_have_one_name(self, port: TokenPort) -> None:
        """So that a new one can take the place of an old one."""
        for token in (a_token(), a_token()):
            port.add_token(token)
        assert [token.name for token in port.tokens()] == ["ci", "ci"]

    def test_the_latest_comes_first(self, port: TokenPort) -> None:
        """Those of one moment by their ids."""
        kept = [
            a_token(id=letter * 16, created_at=AT + later * SECOND)
            for letter, later in zip("bacd", (1, 1, 2, 0), strict=True)
        ]
        for token in kept:
            port.add_token(token)
        assert [token.id[0] for token in port.tokens()] == ["c", "b", "a", "d"]

    def test_a_revoked_token_stays(self, port: TokenPort, behind: BehindTokens) -> None:
        """With when and by whom; nothing else of it, and no other, is changed."""
        token, other = a_token(), a_token()
        port.add_token(token)
        port.add_token(other)
        revoked = port.revoke_token(token.id, at=AT + SECOND, by="eve")
        assert revoked == token.revoked(at=AT + SECOND, by="eve") == port.token(token.id)
        assert port.token(other.id) == other
        assert {facts["revoked_by"] for facts in behind.token_facts().values()} == {"eve", None}

    def test_the_first_revocation_stays(self, port: TokenPort) -> None:
        """A second one changes nothing, and is no error."""
        token = a_token()
        port.add_token(token)
        first = port.revoke_token(token.id, at=AT + SECOND, by="eve")
        assert port.revoke_token(token.id, at=AT + 2 * SECOND, by="bob") == first == port.token(token.id)

    def test_no_secret_is_kept(self, port: TokenPort, behind: BehindTokens) -> None:
        """Only the digest is."""
        token, text = new_token("ci", SCOPED, at=AT, by="x")
        parts = presented(text)
        port.add_token(token)
        assert parts is not None
        assert parts.secret not in str(behind.token_facts())
        assert behind.token_facts()[token.id]["digest"] == token.digest

    def test_what_is_done_is_in_the_audit(self, port: TokenPort, behind: BehindTokens) -> None:
        """Each once, with whoever asked; what was done without an act is not."""
        token, other = a_token(), a_token()
        gone = token.revoked(at=AT + SECOND, by="eve")
        port.add_token(token, act=on_token(BOB, Action.CREATE_TOKEN, AT, token))
        port.add_token(other)
        assert behind.acts_on(token.id) == [("create_token", "bob", "cli")]
        for _ in range(2):
            act = on_token(evolve(BOB, name="eve"), Action.REVOKE_TOKEN, AT + SECOND, gone, before=token)
            port.revoke_token(token.id, at=AT + SECOND, by="eve", act=act)
        assert behind.acts_on(token.id) == [("create_token", "bob", "cli"), ("revoke_token", "eve", "cli")]
        assert behind.acts_on(other.id) == []

    def test_what_is_refused_is_not_in_the_audit(self, port: TokenPort, behind: BehindTokens) -> None:
        """Neither a second token of an id, nor the revocation of one that is not there."""
        token, nobody_s = a_token(), a_token()
        port.add_token(token)
        with pytest.raises(ConcurrentUpdate):
            port.add_token(token, act=on_token(BOB, Action.CREATE_TOKEN, AT, token))
        gone = nobody_s.revoked(at=AT, by="bob")
        act = on_token(BOB, Action.REVOKE_TOKEN, AT, gone, before=nobody_s)
        assert port.revoke_token(nobody_s.id, at=AT, by="bob", act=act) is None
        assert behind.acts_on(token.id) == behind.acts_on(nobody_s.id) == []

    @pytest.mark.parametrize("call", CALLS)
    def test_without_a_database(self, unreachable: TokenPort, call: str) -> None:
        """Whatever is asked: unavailable."""
        with pytest.raises(DatabaseUnavailable):
            CALLS[call](unreachable)
