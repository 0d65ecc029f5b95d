# What a resolver may do in Consul besides observer.hcl if operators type overrides,
# freezes and failbacks there. Others follow such records, and cannot write them. If
# such a token is stolen, choose another share.cluster name: see docs/consul.md.
#
#   sed 's/CLUSTER/main/' operator.hcl | consul acl policy create -name detour-operator -rules -
#   consul acl token create -policy-name detour-dns1 -policy-name detour-operator

key_prefix "detour/CLUSTER/v1/ctl/" {
  policy = "write"
}
