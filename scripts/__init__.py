# SPDX-License-Identifier: Apache-2.0
"""Programs of the repository: build, demonstrate, test."""
