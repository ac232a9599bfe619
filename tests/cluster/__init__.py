# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes API server for tests: etcd and kube-apiserver on loopback, no nodes."""
