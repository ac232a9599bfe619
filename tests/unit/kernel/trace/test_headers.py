# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from varmor.kernel.trace.headers import missing_helpers


def test_helpers_that_the_kernel_lacks_get_a_number_that_no_program_uses() -> None:
    types = "enum bpf_func_id { BPF_FUNC_unspec = 0, BPF_FUNC_map_lookup_elem = 1 };"
    library = b"\0(void *)BPF_FUNC_map_lookup_elem;\0BPF_FUNC_cgrp_storage_get\0BPF_FUNC_cgrp_storage_get\0"
    assert missing_helpers(types, library) == "#define BPF_FUNC_cgrp_storage_get 0xfff\n"
