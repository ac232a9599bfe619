# SPDX-License-Identifier: Apache-2.0
"""On demand: who in a workload makes a system call, by which functions. Unlike enforcement it needs bcc."""
