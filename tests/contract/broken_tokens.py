"""The token store in memory, each time with one rule of the port broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from attrs import evolve

from tests.contract.test_tokens import BehindMemoryTokens
from workflow_core.errors import ConcurrentUpdate
from workflow_core.fakes import InMemoryDatabase
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.testing.tokens import TokenContract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.act import AuditEntry
    from workflow_core.domain.token import Token


class ReplacesAToken(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        self._refuse_if_down()
        self._tokens[token.id] = token


class ReplacesThoughItRefuses(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        try:
            super().add_token(token, act=act)
        except ConcurrentUpdate:
            self._tokens[token.id] = token
            raise


class OneOfAName(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        if any(other.name == token.name for other in self.tokens()):
            raise ConcurrentUpdate(token.name)
        super().add_token(token, act=act)


class LosesTheSecondGrant(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(evolve(token, grants=token.grants[:1]), act=act)


class SortsTheGrants(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(
            evolve(token, grants=tuple(sorted(token.grants, key=lambda grant: grant.names or ""))), act=act
        )


class CutsMicroseconds(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(evolve(token, created_at=token.created_at.replace(microsecond=0)), act=act)


class ForgetsTheExpiry(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(evolve(token, expires_at=None), act=act)


class ForgetsThatItWasRevoked(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(evolve(token, revoked_at=None, revoked_by=None), act=act)


class KeepsMoreThanTheDigest(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        super().add_token(evolve(token, digest=f"{token.digest} "), act=act)


class FindsAnyCase(InMemoryTokens):
    def token(self, token_id: str) -> Token | None:
        return super().token(token_id.lower())


class HidesRevoked(InMemoryTokens):
    def token(self, token_id: str) -> Token | None:
        token = super().token(token_id)
        return None if token is None or token.revoked_at is not None else token


class ListsRevokedNoMore(InMemoryTokens):
    def tokens(self) -> Sequence[Token]:
        return tuple(token for token in super().tokens() if token.revoked_at is None)


class OldestFirst(InMemoryTokens):
    def tokens(self) -> Sequence[Token]:
        return tuple(reversed(super().tokens()))


class AnyOrderInAMoment(InMemoryTokens):
    def tokens(self) -> Sequence[Token]:
        return tuple(sorted(self._listed(), key=lambda token: token.created_at, reverse=True))

    def _listed(self) -> Sequence[Token]:
        return sorted(super().tokens(), key=lambda token: token.id)


class RevokesWhatIsNotThere(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        return super().revoke_token(token_id.lower(), at=at, by=by, act=act)


class RevokesNothing(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        token = self.token(token_id)
        return None if token is None else token.revoked(at=at, by=by)


class RevokesAll(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        token = super().revoke_token(token_id, at=at, by=by, act=act)
        self._tokens = {key: token.revoked(at=at, by=by) for key, token in self._tokens.items()}
        return token


class DeletesWhatItRevokes(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        token = super().revoke_token(token_id, at=at, by=by, act=act)
        self._tokens.pop(token_id, None)
        return token


class RevokesAgain(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        token = self.token(token_id)
        if token is None:
            return None
        self._tokens[token_id] = evolve(token, revoked_at=at, revoked_by=by)
        return self._tokens[token_id]


class RecordsNothing(InMemoryTokens):
    def _record(self, act: AuditEntry | None) -> None:
        pass


class RecordsEachRevocation(InMemoryTokens):
    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        self._record(act)
        return super().revoke_token(token_id, at=at, by=by)


class RecordsWhatItRefuses(InMemoryTokens):
    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        self._refuse_if_down()
        self._record(act)
        super().add_token(token)


class AnswersWithoutADatabase(InMemoryTokens):
    def go_down(self) -> None:
        pass


BROKEN: list[type[InMemoryTokens]] = [
    kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, InMemoryTokens)
]
BROKEN.remove(InMemoryTokens)


class TestBroken(TokenContract):
    """The suite; ``until_red.py`` runs it against each of ``kinds`` in turn."""

    kinds: ClassVar[list[type[InMemoryTokens]]] = [InMemoryTokens, *BROKEN]
    kind: type[InMemoryTokens]

    @pytest.fixture
    def port(self) -> InMemoryTokens:
        return self.kind(InMemoryDatabase())

    @pytest.fixture
    def behind(self, port: InMemoryTokens) -> BehindMemoryTokens:
        return BehindMemoryTokens(port)

    @pytest.fixture
    def unreachable(self) -> InMemoryTokens:
        fake = self.kind()
        fake.go_down()
        return fake
