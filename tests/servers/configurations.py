"""How the configurations of real mail servers begin, wherever one is started."""

EXIM = """
exim_user = nobody
exim_group = nogroup
spool_directory = {home}/spool
log_file_path = {home}/log-%s
keep_environment =
primary_hostname = mx.example
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
host_lookup =
"""

POSTFIX = """
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
maillog_file_prefixes = {home}
maillog_file = {home}/log
mail_owner = postfix
myhostname = mx.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
"""

POSTFIX_SERVICES = """
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
"""
"""Those that every Postfix of ours has, for its master.cf."""
