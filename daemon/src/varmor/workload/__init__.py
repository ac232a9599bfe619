# SPDX-License-Identifier: Apache-2.0
"""Containers and systemd units: discover, identify, arm."""
