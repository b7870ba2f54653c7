# Sourced: where `make try` keeps its daemon. A Unix socket's path has at most 107 bytes, so it does not live in the checkout.
try_dir=${XDG_RUNTIME_DIR:-/tmp}/mains-try-$(id -u)
socket=$try_dir/mains.sock
state_dir=$try_dir/state
pid_file=$try_dir/pid
