# SPDX-License-Identifier: Apache-2.0
"""Policy and catalog become a profile: AppArmor text, seccomp filter, BPF tables. Pure: no I/O."""
