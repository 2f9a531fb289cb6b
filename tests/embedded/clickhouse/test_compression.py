from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from rapport.embedded.clickhouse.compression import PIECE_BYTES, choose_encoding, open_decoder, open_encoder
from rapport.embedded.clickhouse.engine_errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPRESS = {"lz4": lz4.frame.compress, "zstd": zstd.compress, "gzip": gzip.compress, "deflate": zlib.compress}
ENCODINGS = st.sampled_from(sorted(COMPRESS))


def decode(encoding: str, pieces: Iterable[bytes]) -> bytes:
    decoder = open_decoder(encoding)
    assert decoder is not None
    plain = b"".join(out for piece in pieces for out in decoder.feed(piece))
    decoder.finish()
    return plain


def cut(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(ENCODINGS, st.lists(st.binary(max_size=500), max_size=5), st.integers(1, 50))
def test_frames_in_a_row_decode_to_their_contents_however_they_are_cut(encoding: str, frames: list[bytes], size: int):
    body = b"".join(map(COMPRESS[encoding], frames))
    assert decode(encoding, cut(body, size)) == b"".join(frames)


@given(ENCODINGS, st.lists(st.binary(max_size=500)))
def test_encoded_data_decodes_to_itself(encoding: str, pieces: list[bytes]):
    encoder = open_encoder(encoding)
    body = b"".join([*map(encoder.compress, pieces), encoder.flush()])
    assert decode(encoding, [body]) == b"".join(pieces)


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
def test_a_small_body_that_grows_large_comes_in_bounded_pieces(encoding: str):
    size = 5 * PIECE_BYTES + 7
    decoder = open_decoder(encoding)
    assert decoder is not None
    lengths = [len(piece) for piece in decoder.feed(COMPRESS[encoding](bytes(size)))]
    decoder.finish()
    assert sum(lengths) == size
    assert max(lengths) <= PIECE_BYTES


@given(ENCODINGS, st.binary(min_size=1, max_size=300), st.integers(1, 8))
def test_a_body_that_is_cut_off_is_an_error(encoding: str, data: bytes, missing: int):
    with pytest.raises(EngineError) as caught:
        decode(encoding, [COMPRESS[encoding](data)[:-missing]])
    assert caught.value.code == 271


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
def test_damaged_data_is_an_error(encoding: str):
    with pytest.raises(EngineError):
        decode(encoding, [b"not compressed at all"])


def test_plain_bodies_need_no_decoder():
    assert open_decoder("") is None
    assert open_decoder("identity") is None
    assert open_encoder(None).compress(b"a") + open_encoder(None).flush() == b"a"


def test_an_unknown_encoding_is_refused():
    with pytest.raises(EngineError) as caught:
        open_decoder("br")
    assert caught.value.code == 48


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", None),
        ("br", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("deflate;q=1, GZIP;q=0.1", "gzip"),
        ("lz4", "lz4"),
    ],
)
def test_the_encoding_is_chosen_as_clickhouse_does(accepted: str, chosen: str | None):
    assert choose_encoding(accepted) == chosen
