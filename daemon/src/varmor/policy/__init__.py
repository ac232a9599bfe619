# SPDX-License-Identifier: Apache-2.0
"""The API objects: typed, parsed, defaulted, validated. Pure: no I/O."""
