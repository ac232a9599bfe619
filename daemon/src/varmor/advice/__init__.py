# SPDX-License-Identifier: Apache-2.0
"""What policies mean: how two of them differ, and what one says of a single act. Pure."""
