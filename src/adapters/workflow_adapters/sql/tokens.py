"""``TokenPort`` in the tables of :mod:`workflow_adapters.sql.tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy.exc import IntegrityError

from workflow_adapters.sql.audit import audited, insert, rows_of
from workflow_adapters.sql.tables import api_tokens
from workflow_adapters.sql.transactions import Transactions
from workflow_core.domain.grants import grant_of, plain_grant
from workflow_core.domain.token import Token
from workflow_core.errors import ConcurrentUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Engine

    from workflow_core.domain.audit import AuditEntry

_BY_ID: Final = sa.select(api_tokens).where(api_tokens.c.id == sa.bindparam("token_id"))
_LATEST_FIRST: Final = (api_tokens.c.created_at.desc(), api_tokens.c.id.desc())


class SqlTokens:
    """:class:`~workflow_core.ports.tokens.TokenPort` on PostgreSQL or SQLite. Who made ``engine`` closes it."""

    def __init__(self, engine: Engine) -> None:
        self._transactions = Transactions(engine)

    def add_token(self, token: Token, *, act: AuditEntry | None = None) -> None:
        try:
            with audited(self._transactions, act, single=True) as connection:
                connection.execute(api_tokens.insert(), _row(token))
        except IntegrityError as error:
            raise ConcurrentUpdate(f"the token {token.id}") from error

    def token(self, token_id: str) -> Token | None:
        with self._transactions.reading(single=True) as connection:
            row = connection.execute(_BY_ID, {"token_id": token_id}).mappings().first()
        return None if row is None else _token(row)

    def tokens(self) -> Sequence[Token]:
        with self._transactions.reading(single=True) as connection:
            rows = connection.execute(sa.select(api_tokens).order_by(*_LATEST_FIRST)).mappings().all()
        return tuple(map(_token, rows))

    def revoke_token(self, token_id: str, *, at: datetime, by: str, act: AuditEntry | None = None) -> Token | None:
        first = sa.and_(api_tokens.c.id == token_id, api_tokens.c.revoked_at.is_(None))
        with self._transactions.writing() as connection:
            if connection.execute(api_tokens.update().where(first).values(revoked_at=at, revoked_by=by)).rowcount:
                insert(connection, rows_of(act))
            row = connection.execute(_BY_ID, {"token_id": token_id}).mappings().first()
        return None if row is None else _token(row)


def _row(token: Token) -> dict[str, Any]:
    return {**asdict(token, recurse=False), "grants": list(map(plain_grant, token.grants))}


def _token(row: Mapping[Any, Any]) -> Token:
    return Token(**{**row, "grants": tuple(map(grant_of, row["grants"]))})
