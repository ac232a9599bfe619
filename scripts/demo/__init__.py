# SPDX-License-Identifier: Apache-2.0
"""The demonstration: one policy for a container and one for a unit, five attacks without and with them."""
