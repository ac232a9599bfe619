# SPDX-License-Identifier: Apache-2.0
"""The BPF enforcer: loads, fills and pins the programs of daemon/bpf, and binds workloads to profiles."""
