# SPDX-License-Identifier: Apache-2.0
"""Effects on the kernel: AppArmor, BPF, seccomp files, the audit stream, and the probes that say what this node can
do.
"""
