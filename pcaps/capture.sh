#!/usr/bin/env bash
#
# Take the captures of this directory again, from real exporters fed with real
# traffic.
#
#   capture.sh [DIRECTORY [NAME...]]
#
# DIRECTORY   where the captures go; the script's own directory by default
# NAME...     the captures to take, without ".pcap"; all of them by default
#
# Debian packages: softflowd pmacct openvswitch-switch nfdump tcpdump
# wireshark-common iproute2 python3. It needs root: for each capture it makes two
# network namespaces joined by a veth pair, and takes them away again. Exporters
# send to the loopback of their own namespace; no packet leaves the two
# namespaces. All of it takes a little over a minute.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here}
shift || true

# -- the two namespaces --------------------------------------------------------

ns_a=ipfix-$$-a   # exporter, collector and tcpdump; client of the traffic
ns_b=ipfix-$$-b   # server of the traffic
a4=198.51.100.1 a6=2001:db8::1
b4=198.51.100.2 b6=2001:db8::2
tmp=
pids=()
last_pid=
ovs_schema=/usr/share/openvswitch/vswitch.ovsschema

die() {
    echo "capture.sh: $*" >&2
    exit 1
}

log() {
    echo "capture.sh: $*" >&2
}

in_a=(ip netns exec "$ns_a")
in_b=(ip netns exec "$ns_b")

# start LOGFILE COMMAND...: in the background; its pid goes to $last_pid. COMMAND
# must be a program, not a function, for the pid to be that program's
start() {
    local logfile=$1
    shift
    "$@" </dev/null >"$logfile" 2>&1 &
    last_pid=$!
    pids+=("$last_pid")
}

# wait_for LOGFILE TEXT: until TEXT is in LOGFILE, ten seconds at most
wait_for() {
    local i
    for ((i = 0; i < 100; i++)); do
        if grep -qF -- "$2" "$1" 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    cat "$1" >&2 || true
    die "'$2' did not appear in $1"
}

# wait_for_file FILE: ten seconds at most
wait_for_file() {
    local i
    for ((i = 0; i < 100; i++)); do
        if [[ -e $1 ]]; then
            return 0
        fi
        sleep 0.1
    done
    die "$1 did not appear"
}

# stop PID [SIGNAL]: signal one process that start() started, and wait for it
# (signal 0: only wait)
stop() {
    local pid=$1 signal=${2:-TERM} i
    kill -s "$signal" "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then
        log "process $pid did not end by itself"
        kill -s KILL "$pid" 2>/dev/null || true
    fi
    wait "$pid" 2>/dev/null || true
    for i in "${!pids[@]}"; do
        if [[ ${pids[$i]} == "$pid" ]]; then
            unset "pids[$i]"
        fi
    done
}

stop_all() {
    local pid
    for pid in "${pids[@]}"; do
        stop "$pid"
    done
    pids=()
}

teardown() {
    stop_all
    ip netns del "$ns_a" 2>/dev/null || true
    ip netns del "$ns_b" 2>/dev/null || true
}

cleanup() {
    teardown
    if [[ -n $tmp ]]; then
        rm -rf "$tmp"
    fi
}

# add_namespace NAME: with its loopback up, and without the IPv6 chatter of its
# own (router solicitations, link-local addresses) that would add odd flows
add_namespace() {
    ip netns add "$1"
    # shellcheck disable=SC2016
    ip netns exec "$1" sh -c '
        for conf in all default; do
            echo 0 >/proc/sys/net/ipv6/conf/$conf/accept_ra
            echo 0 >/proc/sys/net/ipv6/conf/$conf/router_solicitations
            echo 1 >/proc/sys/net/ipv6/conf/$conf/addr_gen_mode
        done'
    ip -n "$1" link set lo up
}

# setup [bare]: both namespaces, veth-a and veth-b; "bare" gives no addresses
setup() {
    add_namespace "$ns_a"
    add_namespace "$ns_b"
    ip -n "$ns_a" link add veth-a address 02:00:00:00:00:0a type veth \
        peer name veth-b address 02:00:00:00:00:0b netns "$ns_b"
    "${in_a[@]}" "$python" "$here/traffic.py" offload-off veth-a
    "${in_b[@]}" "$python" "$here/traffic.py" offload-off veth-b
    ip -n "$ns_a" link set veth-a up
    ip -n "$ns_b" link set veth-b up
    ip -n "$ns_b" addr add "$b4/24" dev veth-b
    ip -n "$ns_b" addr add "$b6/64" dev veth-b nodad
    if [[ ${1:-} != bare ]]; then
        ip -n "$ns_a" addr add "$a4/24" dev veth-a
        ip -n "$ns_a" addr add "$a6/64" dev veth-a nodad
        ip -n "$ns_a" neigh add "$b4" lladdr 02:00:00:00:00:0b dev veth-a
        ip -n "$ns_a" neigh add "$b6" lladdr 02:00:00:00:00:0b dev veth-a
        ip -n "$ns_b" neigh add "$a4" lladdr 02:00:00:00:00:0a dev veth-b
        ip -n "$ns_b" neigh add "$a6" lladdr 02:00:00:00:00:0a dev veth-b
    fi
    start "$tmp/serve.log" "${in_b[@]}" "$python" "$here/traffic.py" serve "$b4" "$b6"
    wait_for "$tmp/serve.log" ready
}

# feed QUERIES [BULK]: BULK is the size of one last download
feed() {
    "${in_a[@]}" "$python" "$here/traffic.py" feed "$b4" "$b6" "$@"
}

# collect udp|tcp|sctp ADDRESS PORT: a listener there, and tcpdump on the loopback
tcpdump_pid=
collect() {
    start "$tmp/sink.log" "${in_a[@]}" "$python" "$here/traffic.py" sink "$@"
    wait_for "$tmp/sink.log" ready
    start "$tmp/tcpdump.log" "${in_a[@]}" tcpdump -i lo -n -U --immediate-mode -s 9000 -B 16384 \
        -Z root -w "$tmp/capture.pcap" "${collect_filter:-$1 port $3}"
    tcpdump_pid=$last_pid
    wait_for "$tmp/tcpdump.log" "listening on lo"
}

# keep NAME: end tcpdump and put its file into $out
keep() {
    local size
    sleep 0.5
    stop "$tcpdump_pid"
    if ! grep -q '^0 packets dropped by kernel' "$tmp/tcpdump.log"; then
        cat "$tmp/tcpdump.log" >&2
        die "$1: tcpdump lost packets"
    fi
    size=$(stat -c %s "$tmp/capture.pcap")
    if ((size <= 24)); then
        die "$1: no packet was captured"
    fi
    if ((size > 200 * 1024)); then
        die "$1: $size bytes is more than 200 KB"
    fi
    cp "$tmp/capture.pcap" "$out/$1.pcap"
    chmod 644 "$out/$1.pcap"
    log "$1.pcap: $size bytes"
}

# -- softflowd -----------------------------------------------------------------

# softflowd_run NAME HOST:PORT QUERIES OPTION...: live on veth-a, as interface 7.
#
# libpcap hands packets to softflowd only when a block of 256 KB is full of them
# (softflowd asks for no read timeout), so the feed ends with a download that
# fills two blocks and part of a third; what is in the third is lost. In the
# foreground softflowd has no handler for SIGTERM and would export nothing: it is
# its control socket that makes it export all flows and end.
softflowd_run() {
    local name=$1 target=$2 queries=$3 pid
    shift 3
    start "$tmp/softflowd.log" "${in_a[@]}" softflowd -d -N -C 1514 -i 7:veth-a \
        -n "$target" -c "$tmp/softflowd.ctl" "$@"
    pid=$last_pid
    wait_for "$tmp/softflowd.log" "starting data collection"
    if [[ -n ${softflowd_vlan:-} ]]; then
        "${in_a[@]}" "$python" "$here/traffic.py" vlan veth-a 42 3
        "${in_b[@]}" "$python" "$here/traffic.py" vlan veth-b 42 2
    fi
    feed "$queries" 700000
    sleep 0.5
    softflowctl -c "$tmp/softflowd.ctl" shutdown >/dev/null
    stop "$pid" 0
    keep "$name"
}

capture_softflowd_v9() {
    setup
    collect udp 127.0.0.1 2055
    softflowd_run softflowd_v9 127.0.0.1:2055 30 -v 9
    editcap -F pcapng "$out/softflowd_v9.pcap" "$out/softflowd_v9.pcapng"
}

# Over 16 messages, so that softflowd sends its templates a second time.
capture_softflowd_ipfix() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_run softflowd_ipfix 127.0.0.1:4739 250 -v 10
    gzip -9 -n -c "$out/softflowd_ipfix.pcap" >"$out/softflowd_ipfix.pcap.gz"
}

capture_softflowd_ipfix_bidirectional() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_run softflowd_ipfix_bidirectional 127.0.0.1:4739 30 -v 10 -b
}

# 802.1Q tags and MAC addresses in the records; milliseconds since the epoch.
capture_softflowd_ipfix_ether() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_vlan=1
    softflowd_run softflowd_ipfix_ether 127.0.0.1:4739 8 -v 10 -T ether -A milli
    softflowd_vlan=
}

# NTP timestamps, and one packet of two sampled.
capture_softflowd_ipfix_micro() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_run softflowd_ipfix_micro 127.0.0.1:4739 8 -v 10 -A micro -s 2
}

capture_softflowd_ipfix_nano() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_run softflowd_ipfix_nano 127.0.0.1:4739 8 -v 10 -A nano
}

# A small MTU, and no segmentation offload: messages span TCP segments.
capture_softflowd_ipfix_tcp() {
    setup
    ip -n "$ns_a" link set lo mtu 600 gso_max_segs 1
    collect tcp 127.0.0.1 4739
    softflowd_run softflowd_ipfix_tcp 127.0.0.1:4739 60 -v 10 -P tcp -A sec
}

# A small MTU: messages are several chunks. A kernel that has SCTP is in
# `python -m tests.interop.guest`, where there is none here.
capture_softflowd_ipfix_sctp() {
    if [[ ! -e /proc/net/sctp ]]; then
        log "softflowd_ipfix_sctp: this kernel has no SCTP (modprobe sctp)"
        return
    fi
    setup
    ip -n "$ns_a" link set lo mtu 600
    collect sctp 127.0.0.1 4739
    softflowd_run softflowd_ipfix_sctp 127.0.0.1:4739 30 -v 10 -P sctp -A sec
}

# IPv6 as the network protocol of the export.
capture_softflowd_ipfix_ipv6() {
    setup
    collect udp ::1 4739
    softflowd_run softflowd_ipfix_ipv6 '[::1]:4739' 8 -v 10
}

# A small MTU: each message is several IPv4 fragments.
capture_softflowd_ipfix_fragmented() {
    setup
    ip -n "$ns_a" link set lo mtu 576
    collect_filter='host 127.0.0.1'
    collect udp 127.0.0.1 4739
    collect_filter=
    softflowd_run softflowd_ipfix_fragmented 127.0.0.1:4739 30 -v 10
}

# PSAMP: sampled packets, not flows.
capture_softflowd_psamp() {
    setup
    collect udp 127.0.0.1 4739
    softflowd_run softflowd_psamp 127.0.0.1:4739 8 -v psamp -s 40
}

# -- pmacctd -------------------------------------------------------------------

# pmacctd_run NAME PORT QUERIES <CONFIG: live on veth-a; what the feed leaves in
# pmacctd's cache is exported when SIGINT ends it
pmacctd_run() {
    local name=$1 port=$2 queries=$3 pid
    {
        echo "daemonize: false"
        echo "pcap_interface: veth-a"
        echo "plugins: nfprobe[probe]"
        echo "nfprobe_receiver: 127.0.0.1:$port"
        echo "nfprobe_source_ip: 127.0.0.1"
        cat
    } >"$tmp/pmacctd.conf"
    start "$tmp/pmacctd.log" "${in_a[@]}" pmacctd -f "$tmp/pmacctd.conf"
    pid=$last_pid
    wait_for "$tmp/pmacctd.log" "link type is: 1"
    sleep 1
    feed "$queries"
    sleep 2
    stop "$pid" INT
    keep "$name"
}

capture_pmacctd_v9() {
    setup
    collect udp 127.0.0.1 2055
    pmacctd_run pmacctd_v9 2055 60 <<'END'
nfprobe_version: 9
nfprobe_engine: 9
nfprobe_direction[probe]: in
nfprobe_ifindex[probe]: 7
pmacctd_ext_sampling_rate: 10
aggregate: src_host, dst_host, src_port, dst_port, proto, tos
END
}

# MAC addresses, and a custom primitive: the TTL or hop limit as ipTTL (192).
capture_pmacctd_ipfix() {
    setup
    collect udp 127.0.0.1 4739
    cat >"$tmp/primitives.lst" <<'END'
name=ttl packet_ptr=l3:0x800+8 packet_ptr=l3:0x86dd+7 len=1 semantics=u_int field_type=192
END
    pmacctd_run pmacctd_ipfix 4739 60 <<END
nfprobe_version: 10
nfprobe_engine: 10
nfprobe_direction[probe]: in
nfprobe_ifindex[probe]: 7
pmacctd_ext_sampling_rate: 10
aggregate_primitives: $tmp/primitives.lst
aggregate: src_host, dst_host, src_port, dst_port, proto, tos, src_mac, dst_mac, vlan, ttl
END
}

# pmacct's enterprise elements: tag, tag2 and a label of variable length. The
# tag also says the direction, which has templates of its own for egress.
capture_pmacctd_ipfix_label() {
    setup
    collect udp 127.0.0.1 4739
    cat >"$tmp/pretag.map" <<'END'
set_tag=1 filter='dst port 80' jeq=to80
set_tag=2 filter='src port 80' jeq=from80
set_tag=1 filter='dst port 53' jeq=to53
set_tag=2 filter='src port 53' jeq=from53
set_tag2=80 filter='port 80' label=to80 jeq=to80label
set_label=web-request filter='dst port 80' label=to80label
set_label=web filter='src port 80' label=from80
set_label=a-somewhat-longer-label-for-name-resolution filter='dst port 53' label=to53
set_tag2=4294967301 filter='src port 53' label=from53
END
    pmacctd_run pmacctd_ipfix_label 4739 12 <<END
nfprobe_version: 10
nfprobe_engine: 4294967295
nfprobe_direction[probe]: tag
pre_tag_map[probe]: $tmp/pretag.map
aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tag, tag2, label
END
}

# flowStartMicroseconds and flowEndMicroseconds of 16 octets.
capture_pmacctd_ipfix_usec() {
    setup
    collect udp 127.0.0.1 4739
    pmacctd_run pmacctd_ipfix_usec 4739 8 <<'END'
nfprobe_version: 10
nfprobe_tstamp_usec: true
aggregate: src_host, dst_host, src_port, dst_port, proto, tos
END
}

# -- Open vSwitch --------------------------------------------------------------

ovs_pids=()

# ovs_start: ovsdb-server and ovs-vswitchd in $ns_a, with all their files in
# $tmp, and the bridge br0 (user-space datapath) with the port veth-a and a4, a6
# on its internal port
ovs_start() {
    mkdir "$tmp/ovs"
    export OVS_RUNDIR=$tmp/ovs OVS_LOGDIR=$tmp/ovs OVS_DBDIR=$tmp/ovs OVS_SYSCONFDIR=$tmp/ovs
    ovsdb-tool create "$tmp/ovs/conf.db" "$ovs_schema"
    start "$tmp/ovsdb.log" "${in_a[@]}" ovsdb-server "$tmp/ovs/conf.db" \
        --remote="punix:$tmp/ovs/db.sock" --pidfile="$tmp/ovs/ovsdb-server.pid"
    ovs_pids=("$last_pid")
    wait_for_file "$tmp/ovs/db.sock"
    ovs_vsctl --no-wait init
    start "$tmp/ovs-vswitchd.log" "${in_a[@]}" ovs-vswitchd "unix:$tmp/ovs/db.sock" \
        --pidfile="$tmp/ovs/ovs-vswitchd.pid"
    ovs_pids+=("$last_pid")
    ovs_vsctl add-br br0 -- set bridge br0 datapath_type=netdev \
        other-config:hwaddr='"02:00:00:00:00:0a"' -- add-port br0 veth-a
    ip -n "$ns_a" addr add "$a4/24" dev br0
    ip -n "$ns_a" addr add "$a6/64" dev br0 nodad
    "${in_a[@]}" "$python" "$here/traffic.py" offload-off br0
    ip -n "$ns_a" link set br0 up
}

ovs_vsctl() {
    ovs-vsctl --timeout=10 --db="unix:$tmp/ovs/db.sock" "$@"
}

ovs_stop() {
    local pid
    for pid in "${ovs_pids[@]}"; do
        stop "$pid"
    done
    ovs_pids=()
}

# Sampling of a whole bridge, at input and output (the default, and what Open
# vSwitch 3.1.0 switches off where the database says "true"), with a cache: what is in the
# cache is exported (forced end) when the bridge's IPFIX row is taken away.
capture_ovs_ipfix() {
    setup bare
    ovs_start
    collect udp 127.0.0.1 4739
    ovs_vsctl -- set bridge br0 ipfix=@ipfix -- --id=@ipfix create ipfix \
        'targets="127.0.0.1:4739"' sampling=1 obs_domain_id=123 obs_point_id=456 \
        cache_active_timeout=60 cache_max_flows=1000 >/dev/null
    feed 12
    sleep 1
    ovs_vsctl clear bridge br0 ipfix
    keep ovs_ipfix
    ovs_stop
}

# Sampling by OpenFlow actions, without a cache (a message for each packet), on a
# bridge whose one other port is a VXLAN tunnel over br0: tunnel elements, among
# them the tunnel key of variable length, and a virtual observation ID, a string.
capture_ovs_ipfix_tunnel() {
    local inner4=203.0.113 inner6=2001:db8:1:
    setup bare
    ovs_start
    ip -n "$ns_b" link add vxlan0 address 02:00:00:00:01:0b type vxlan id 5 \
        remote "$a4" dstport 4789 dev veth-b
    ip -n "$ns_b" addr add "$inner4.2/24" dev vxlan0
    ip -n "$ns_b" addr add "$inner6:2/64" dev vxlan0 nodad
    "${in_b[@]}" "$python" "$here/traffic.py" offload-off vxlan0
    ip -n "$ns_b" link set vxlan0 up
    ovs_vsctl add-br br1 -- set bridge br1 datapath_type=netdev \
        other-config:hwaddr='"02:00:00:00:01:0a"' -- add-port br1 tunnel1 -- \
        set interface tunnel1 type=vxlan options:remote_ip="$b4" options:key=5 ofport_request=1
    ip -n "$ns_a" addr add "$inner4.1/24" dev br1
    ip -n "$ns_a" addr add "$inner6:1/64" dev br1 nodad
    "${in_a[@]}" "$python" "$here/traffic.py" offload-off br1
    ip -n "$ns_a" link set br1 mtu 1400 up
    start "$tmp/serve2.log" "${in_b[@]}" "$python" "$here/traffic.py" serve \
        "$inner4.2" "$inner6:2"
    wait_for "$tmp/serve2.log" ready
    collect udp 127.0.0.1 4739
    ovs_vsctl -- --id=@br1 get bridge br1 -- --id=@ipfix create ipfix \
        'targets="127.0.0.1:4739"' other_config:enable-tunnel-sampling=true \
        other_config:virtual_obs_id=tenant-7/web -- create flow_sample_collector_set \
        id=1 bridge=@br1 ipfix=@ipfix >/dev/null
    local sample=sample\(probability=65535,collector_set_id=1,obs_domain_id=321
    ovs-ofctl add-flow br1 \
        "in_port=1,actions=$sample,obs_point_id=7,sampling_port=1,ingress),NORMAL"
    ovs-ofctl add-flow br1 \
        "in_port=LOCAL,actions=$sample,obs_point_id=8,sampling_port=1,egress),NORMAL"
    "${in_a[@]}" "$python" "$here/traffic.py" feed "$inner4.2" "$inner6:2" 4
    sleep 1
    keep ovs_ipfix_tunnel
    ovs_stop
}

# -- nfdump --------------------------------------------------------------------

# nfpcapd makes flows of a packet capture of the feed, nfreplay exports them.
capture_nfreplay_v9() {
    local pid
    setup
    mkdir "$tmp/flows"
    start "$tmp/feed.log" "${in_a[@]}" tcpdump -i veth-a -n -U --immediate-mode -s 2000 \
        -B 16384 -Z root -w "$tmp/feed.pcap"
    pid=$last_pid
    wait_for "$tmp/feed.log" "listening on veth-a"
    feed 30
    sleep 0.5
    stop "$pid"
    "${in_a[@]}" nfpcapd -r "$tmp/feed.pcap" -w "$tmp/flows" >"$tmp/nfpcapd.log" 2>&1
    collect udp 127.0.0.1 2055
    "${in_a[@]}" nfreplay -r "$tmp"/flows/nfcapd.* -H 127.0.0.1 -p 2055 -v 9 -d 1000 \
        >"$tmp/nfreplay.log" 2>&1
    keep nfreplay_v9
}

# -- all of them ---------------------------------------------------------------

captures=(
    softflowd_v9
    softflowd_ipfix
    softflowd_ipfix_bidirectional
    softflowd_ipfix_ether
    softflowd_ipfix_micro
    softflowd_ipfix_nano
    softflowd_ipfix_tcp
    softflowd_ipfix_sctp
    softflowd_ipfix_ipv6
    softflowd_ipfix_fragmented
    softflowd_psamp
    pmacctd_v9
    pmacctd_ipfix
    pmacctd_ipfix_label
    pmacctd_ipfix_usec
    ovs_ipfix
    ovs_ipfix_tunnel
    nfreplay_v9
)

# need PROGRAM PACKAGE
need() {
    if ! command -v "$1" >/dev/null; then
        die "$1 is missing: install the Debian package $2"
    fi
}

check() {
    if ((EUID != 0)); then
        die "it makes network namespaces, and must be run as root"
    fi
    need softflowd softflowd
    need softflowctl softflowd
    need pmacctd pmacct
    need ovs-vswitchd openvswitch-switch
    need ovsdb-server openvswitch-common
    need ovsdb-tool openvswitch-common
    need ovs-vsctl openvswitch-switch
    need ovs-ofctl openvswitch-common
    need nfpcapd nfdump
    need nfreplay nfdump
    need tcpdump tcpdump
    need editcap wireshark-common
    need ip iproute2
    need python3 python3
    need gzip gzip
    if [[ ! -r $ovs_schema ]]; then
        die "$ovs_schema is missing: install the Debian package openvswitch-switch"
    fi
    if [[ ! -r $here/traffic.py ]]; then
        die "$here/traffic.py is missing"
    fi
    if ! ip netns add "$ns_a" 2>/dev/null; then
        die "cannot make a network namespace here"
    fi
    ip netns del "$ns_a"
}

check
python=$(python3 -c 'import sys; print(sys.executable)')
if (($#)); then
    for name in "$@"; do
        if ! declare -F "capture_$name" >/dev/null; then
            die "no capture is called $name; there are: ${captures[*]}"
        fi
    done
    captures=("$@")
fi
mkdir -p "$out"
tmp=$(mktemp -d)
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
for name in "${captures[@]}"; do
    "capture_$name"
    teardown
    rm -rf "$tmp"
    mkdir "$tmp"
done
