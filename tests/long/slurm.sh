#!/bin/bash
# Run the pipeline under a real SLURM of one machine, kill tasks, requeue the job, compare the bytes with a plain run.
#
#     tests/long/slurm.sh [--full] [--venv FOLDER]
#
# Run it by hand, as root, on a Debian machine or container. --full takes the default parameters instead of small ones;
# --venv names the environment to use, otherwise it is the repository's own, which `make env` makes. Debian's packages
# stay installed; daemons, configuration, jobs and copies of the repository live in a temporary folder, which goes.
set -euo pipefail

fail() {
    echo "error: $1" >&2
    exit 2
}

root=$(cd "$(dirname "$0")/../.." && pwd)
venv="$root/.venv"
full=()
while [ $# -gt 0 ]; do
    case "$1" in
        --full) full=(--full) ;;
        --venv)
            [ $# -gt 1 ] || fail "--venv needs the folder of an environment; give one"
            venv=$(realpath --canonicalize-missing "$2")
            shift
            ;;
        *) fail "unknown argument $1; give --full, --venv FOLDER or nothing" ;;
    esac
    shift
done
[ -e /etc/debian_version ] || fail "this is not Debian, whose packages it installs; run it in a Debian container"
[ "$(id -u)" -eq 0 ] || fail "only root can install and start SLURM; run it as root, best in a container"
if [ ! -e "$venv/bin/python" ] && [ "$venv" = "$root/.venv" ]; then
    make --silent --directory "$root" env
fi
[ -x "$venv/bin/python" ] || fail "$venv has no bin/python; name an environment with the locked requirements"

work=$(mktemp --directory)
chmod 755 "$work" # MUNGE refuses a socket that others cannot reach
policy=/usr/sbin/policy-rc.d
made_policy=
daemons=()
helper=

# The helper with all it started: a plain run ends with it, a batch job is ended by scancel.
end_helper() {
    kill -TERM -- "-$helper" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 -- "-$helper" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL -- "-$helper" 2>/dev/null || true
}

cleanup() {
    trap - EXIT
    trap '' INT TERM
    [ -z "$helper" ] || end_helper
    if [ ${#daemons[@]} -eq 3 ]; then # jobs first, while there is someone to end them
        timeout 10 scancel --user=root 2>/dev/null || true
        for _ in $(seq 20); do
            [ -n "$(timeout 5 squeue --noheader 2>/dev/null || true)" ] || break
            sleep 1
        done
    fi
    for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do
        kill "${daemons[i]}" 2>/dev/null || true
        wait "${daemons[i]}" 2>/dev/null || true
    done
    [ -z "$made_policy" ] || rm -f "$policy"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_slurm() {
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v srun >/dev/null &&
        command -v munged >/dev/null && return
    if [ ! -e "$policy" ]; then # Debian's way of installing a daemon without starting it
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install --yes --no-install-recommends slurmctld slurmd slurm-client munge; } \
        >"$work/apt.log" 2>&1 || { tail -n 5 "$work/apt.log" >&2; fail "apt-get could not install SLURM; see above"; }
}

configure() {
    local host cores
    host=$(hostname --short)
    cores=$(nproc)
    mkdir -p "$work/state" "$work/spool" # not under /etc: a SLURM that is there already is left alone
    # config_overrides: two tasks are asked for, also of a machine with one core. cred_expire is how long a requeued job
    # waits, 120 s otherwise. No cgroups and no accounting, which a container may lack.
    cat >"$work/slurm.conf" <<CONF
ClusterName=onemachine
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=5
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((cores > 2 ? cores : 2)) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF="$work/slurm.conf"
    mungekey --create --keyfile="$work/munge.key"
}

# In the foreground and in a session of its own, so that its process id is known and Ctrl-C leaves it to `cleanup`.
start() {
    setsid "$@" >>"$work/daemons.log" 2>&1 </dev/null &
    daemons+=($!)
}

start_all() {
    start munged --foreground --force --socket="$work/munge.socket" --key-file="$work/munge.key" \
        --log-file="$work/munged.log" --pid-file="$work/munged.pid" --seed-file="$work/munged.seed"
    for _ in $(seq 50); do
        [ ! -S "$work/munge.socket" ] || break
        sleep 0.1
    done
    start slurmctld -D
    start slurmd -D
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null || true)" != idle ] || return 0
        sleep 1
    done
    tail -n 20 "$work/daemons.log" >&2
    fail "SLURM did not become ready within a minute; see its log above"
}

install_slurm
configure
start_all
sinfo
echo "srun -n 2 hostname: $(timeout 60 srun --ntasks=2 hostname | sort | uniq -c | xargs)"
cd "$root"
setsid "$venv/bin/python" -m tests.long.slurm --work "$work" "${full[@]}" & # so that a signal is met at once
helper=$!
wait "$helper"
