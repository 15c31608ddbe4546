"""Replies of which a part is lacking: an answer, where the reasoning was not closed, or any reasoning."""

from collections.abc import Collection

from coherence.errors import MeasurementError
from coherence.plan import Record, Reply
from coherence.vocabulary import Part, Position

# A share of replies that moves a rate less than its interval is wide, as a rule.
TOLERATED = 0.1


def unanswered(replies: Collection[Reply], record: Record) -> str | None:
    """Say how many replies ended in their reasoning, and what would give them an answer; None if none did."""
    lacking = _unclosed(replies, record)
    cut = [reply.decoding.max_new_tokens for reply, tokens in lacking.items() if _is_cut(reply, tokens)]
    if not lacking:
        return None
    if not cut:
        return f"{len(lacking)} of {len(replies)} replies ended in their reasoning, and have no answer"
    return (
        f"{len(lacking)} of {len(replies)} replies were still reasoning at {max(cut)} tokens, and have no "
        "answer; raise max_new_tokens"
    )


def too_few_answers(replies: Collection[Reply], record: Record) -> str | None:
    """Say the same where so many are lacking that the others decide nothing."""
    lacking = len(_unclosed(replies, record))
    return unanswered(replies, record) if lacking > TOLERATED * len(replies) else None


def require_reasoning(replies: Collection[Reply], record: Record) -> None:
    """Refuse replies of which none has any reasoning that could be looked at."""
    if not any(record.reply(reply, Part.REASONING) for reply in replies):
        raise MeasurementError(
            f"none of {len(replies)} replies has any reasoning; expected a base that reasons, and "
            "`thinking: on` in the suite where its chat template can be told"
        )


def require_in_reply(part: Part, position: Position) -> None:
    """Refuse, with a ValueError, a part of a reply for a position that is in none."""
    if part is not Part.ANSWER and not position.spoken:
        raise ValueError(f"part goes with a position in the reply, such as response_mean; found {position}")


def _unclosed(replies: Collection[Reply], record: Record) -> dict[Reply, int]:
    """Return replies that ended in their reasoning, with how many tokens that has."""
    reasoned = ((reply, record.reasoning(reply)) for reply in replies)
    return {reply: found.tokens for reply, found in reasoned if found and not found.closed}


def _is_cut(reply: Reply, tokens: int) -> bool:
    return tokens >= reply.decoding.max_new_tokens
