# What one observer may do in Consul, and no more: a token of its own for each, so
# that who steals one can lie for one observer only. Three words stand for names:
#
#   CLUSTER   of share: in failover.yaml, "main" unless said
#   OBSERVER  the resolver's name
#   NODE      the Consul node whose agent it talks to (an agent of its own, or it
#             may end the sessions of others there)
#
#   sed 's/CLUSTER/main/; s/OBSERVER/dns1/; s/NODE/host1/' observer.hcl |
#     consul acl policy create -name detour-dns1 -rules -
#   consul acl token create -policy-name detour-dns1
#
# The token's secret ID goes into a file, and the file's name into token_file.

# "list" is "read", and also suffices where enable_key_list_policy is on.
key_prefix "detour/CLUSTER/v1/" {
  policy = "list"
}

key "detour/CLUSTER/v1/who/OBSERVER" {
  policy = "write"
}

key "detour/CLUSTER/v1/op/OBSERVER" {
  policy = "write"
}

# Which pool a service uses, so that a resolver that starts moves nothing back.
key_prefix "detour/CLUSTER/v1/ctl/in_use/" {
  policy = "write"
}

# What its guards keep of names that are listed exactly. ZONE is the resolver's zone as a
# key has it: aws~2Feu-west-1 for aws/eu-west-1, ~ where none is said.
key_prefix "detour/CLUSTER/v1/kept/ZONE/OBSERVER/" {
  policy = "write"
}

session "NODE" {
  policy = "write"
}
