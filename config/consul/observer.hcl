# What one observer may do in Consul, and no more: a token of its own for each, so
# that a thief of it can lie for one observer only. Four words stand for names:
#
#   CLUSTER   of share: in failover.yaml, "main" unless said
#   ZONE      the resolver's self.zone with its slash written ~2F, "~" if it has none
#   OBSERVER  the resolver's name
#   NODE      the Consul node whose agent it talks to (an agent of its own, or it
#             may end the sessions of others there)
#
#   sed 's/CLUSTER/main/; s/ZONE/onprem~2Ffra1/; s/OBSERVER/dns1/; s/NODE/host1/' observer.hcl |
#     consul acl policy create -name detour-dns1 -rules -
#   consul acl token create -policy-name detour-dns1
#
# The token's secret ID goes into a file, and the file's name into token_file.
#
# Replicas that share a token, such as the pods of a Deployment, need it for their
# whole zone: each rule below becomes a key_prefix that ends with "ZONE/". Together
# they have one voice, that of the zone; share.expect bounds how many speak for it.

# "list" is "read", and also suffices where enable_key_list_policy is on.
key_prefix "detour/CLUSTER/v1/" {
  policy = "list"
}

key "detour/CLUSTER/v1/who/ZONE/OBSERVER" {
  policy = "write"
}

key "detour/CLUSTER/v1/op/ZONE/OBSERVER" {
  policy = "write"
}

# Which pools it uses, so that a resolver that starts moves nothing back.
key "detour/CLUSTER/v1/use/ZONE/OBSERVER" {
  policy = "write"
}

# What its guards keep of names that are listed exactly.
key_prefix "detour/CLUSTER/v1/kept/ZONE/OBSERVER/" {
  policy = "write"
}

session "NODE" {
  policy = "write"
}
