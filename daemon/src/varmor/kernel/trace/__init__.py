# SPDX-License-Identifier: Apache-2.0
"""On demand: who in a workload makes a system call, with the functions that lead to it. Needs bcc, unlike enforcement."""
