# SPDX-License-Identifier: Apache-2.0
"""Confinement for containers and services: policies, profiles, the node daemon."""

__version__ = "0.1.0"
