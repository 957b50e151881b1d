"""The contract of :class:`~workflow_core.ports.tokens.TokenPort`.

Inherit from :class:`TokenContract` in a class that pytest collects, and override its fixtures.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from attrs import evolve

from workflow_core.domain.access import Grant, Role
from workflow_core.domain.act import Action, on_token
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
    """Direct access to the stored tokens without the port."""

    def token_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """``name``, ``digest`` and ``revoked_by`` of each token by id."""
        ...

    def acts_on(self, token_id: str) -> Sequence[tuple[str, str, str]]:
        """The audit events of one token, earliest first: action, caller, and how the request arrived."""
        ...


def a_token(**changes: Any) -> Token:
    """A complete, valid token with these changes."""
    token, _ = new_token("ci", SCOPED, at=AT, by="admin@example.com", expires_at=AT + SECOND)
    return evolve(token, **changes)


CALLS: Final[dict[str, Callable[[TokenPort], object]]] = {
    "add_token": lambda port: port.add_token(a_token()),
    "token": lambda port: port.token("0" * 16),
    "tokens": lambda port: port.tokens(),
    "revoke_token": lambda port: port.revoke_token("0" * 16, at=AT, by="b"),
}


class TokenContract:
    """All rules of the port as tests."""

    @pytest.fixture
    def port(self) -> TokenPort:
        """The implementation with an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, port: TokenPort) -> BehindTokens:
        """Direct access to the database of ``port``."""
        raise NotImplementedError

    @pytest.fixture
    def unreachable(self) -> TokenPort:
        """The implementation with a database that does not respond."""
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
    def test_a_token_is_stored_completely(self, port: TokenPort, changes: dict[str, Any]) -> None:
        """Every field is stored, the grants in their order and the times with microseconds."""
        token = a_token(**changes)
        port.add_token(token)
        assert port.token(token.id) == token
        assert port.tokens() == (token,)

    def test_an_unknown_token_is_none(self, port: TokenPort) -> None:
        """An unknown id is neither found nor revoked; ids are compared exactly."""
        token = a_token(id="abcdef0123456789")
        port.add_token(token)
        for other in ("0" * 16, "ABCDEF0123456789", "abcdef012345678%", ""):
            assert port.token(other) is None
            assert port.revoke_token(other, at=AT, by="b") is None
        assert port.token(token.id) == token

    def test_an_id_is_taken_once(self, port: TokenPort) -> None:
        """A second token with the same id is refused and changes nothing."""
        token = a_token()
        port.add_token(token)
        with pytest.raises(ConcurrentUpdate):
            port.add_token(a_token(id=token.id, name="other"))
        assert port.tokens() == (token,)

    def test_one_of_many_concurrent_tokens_gets_the_id(self, port: TokenPort) -> None:
        """If several callers add the same id at the same time, exactly one succeeds."""
        tokens = [a_token(id="a" * 16, name=f"n{number}") for number in range(6)]
        assert together([partial(port.add_token, token) for token in tokens]).count(None) == 1
        assert len(port.tokens()) == 1

    def test_several_tokens_may_have_one_name(self, port: TokenPort) -> None:
        """Names are not unique, so that a new token can replace an old one."""
        for token in (a_token(), a_token()):
            port.add_token(token)
        assert [token.name for token in port.tokens()] == ["ci", "ci"]

    def test_tokens_are_listed_latest_first(self, port: TokenPort) -> None:
        """Tokens of the same moment are ordered by id, descending."""
        tokens = [
            a_token(id=letter * 16, created_at=AT + later * SECOND)
            for letter, later in zip("bacd", (1, 1, 2, 0), strict=True)
        ]
        for token in tokens:
            port.add_token(token)
        assert [token.id[0] for token in port.tokens()] == ["c", "b", "a", "d"]

    def test_a_revoked_token_stays(self, port: TokenPort, behind: BehindTokens) -> None:
        """A revocation adds its time and caller, and changes no other field and no other token."""
        token, other = a_token(), a_token()
        port.add_token(token)
        port.add_token(other)
        revoked = port.revoke_token(token.id, at=AT + SECOND, by="eve")
        assert revoked == token.revoked(at=AT + SECOND, by="eve") == port.token(token.id)
        assert port.token(other.id) == other
        assert {facts["revoked_by"] for facts in behind.token_facts().values()} == {"eve", None}

    def test_the_first_revocation_stays(self, port: TokenPort) -> None:
        """A second revocation changes nothing and raises no error."""
        token = a_token()
        port.add_token(token)
        first = port.revoke_token(token.id, at=AT + SECOND, by="eve")
        assert port.revoke_token(token.id, at=AT + 2 * SECOND, by="bob") == first == port.token(token.id)

    def test_no_secret_is_stored(self, port: TokenPort, behind: BehindTokens) -> None:
        """Only the digest of the secret is stored."""
        token, text = new_token("ci", SCOPED, at=AT, by="x")
        parts = presented(text)
        port.add_token(token)
        assert parts is not None
        assert parts.secret not in str(behind.token_facts())
        assert behind.token_facts()[token.id]["digest"] == token.digest

    def test_each_change_is_in_the_audit(self, port: TokenPort, behind: BehindTokens) -> None:
        """Each change is recorded once with its caller; a change without an audit entry is not."""
        token, other = a_token(), a_token()
        revoked = token.revoked(at=AT + SECOND, by="eve")
        port.add_token(token, act=on_token(BOB, Action.CREATE_TOKEN, AT, token))
        port.add_token(other)
        assert behind.acts_on(token.id) == [("create_token", "bob", "cli")]
        for _ in range(2):
            act = on_token(evolve(BOB, name="eve"), Action.REVOKE_TOKEN, AT + SECOND, revoked, before=token)
            port.revoke_token(token.id, at=AT + SECOND, by="eve", act=act)
        assert behind.acts_on(token.id) == [("create_token", "bob", "cli"), ("revoke_token", "eve", "cli")]
        assert behind.acts_on(other.id) == []

    def test_a_refused_change_is_not_in_the_audit(self, port: TokenPort, behind: BehindTokens) -> None:
        """Neither a taken id nor the revocation of an unknown token is recorded."""
        token, unknown = a_token(), a_token()
        port.add_token(token)
        with pytest.raises(ConcurrentUpdate):
            port.add_token(token, act=on_token(BOB, Action.CREATE_TOKEN, AT, token))
        revoked = unknown.revoked(at=AT, by="bob")
        act = on_token(BOB, Action.REVOKE_TOKEN, AT, revoked, before=unknown)
        assert port.revoke_token(unknown.id, at=AT, by="bob", act=act) is None
        assert behind.acts_on(token.id) == behind.acts_on(unknown.id) == []

    @pytest.mark.parametrize("call", CALLS)
    def test_without_a_database_every_method_raises(self, unreachable: TokenPort, call: str) -> None:
        """Every method raises if the database does not respond."""
        with pytest.raises(DatabaseUnavailable):
            CALLS[call](unreachable)
