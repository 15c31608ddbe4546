"""The ids by which a base says that a reply ends, as its files have them: one, a list, or none."""

from coherence.errors import ArtefactError, shortened


def end_tokens(written: object, file: str) -> list[int]:
    """Return what a file has as its `eos_token_id`; an ArtefactError where those are no ids of tokens."""
    if written is None:
        return []
    listed = written if isinstance(written, list) else [written]
    ids = [one for one in listed if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
    if len(ids) != len(listed):
        raise ArtefactError(
            f"{file} sets eos_token_id to {shortened(written)}; expected the id of a token, or a list of them"
        )
    return ids
