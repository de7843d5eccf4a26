# The steps of a node's start, in the order in which elasticsearch.sh takes them.

# become_user leaves root behind. Volumes come out of Mesos owned by root; walking one with millions of files takes
# minutes, so its content is handed over only once.
become_user() {
	data=
	[ -z "$volume" ] || data=$sandbox/$volume/data
	if [ "$(id -u)" = 0 ]; then
		[ -n "$run_as" ] && [ "$run_as" != root ] ||
			die 77 "started as root and elasticsearch.user names nobody else; Elasticsearch never runs as root"
		id -u "$run_as" >/dev/null 2>&1 || as_user "$run_as" # says why not
		owner=$(id -u "$run_as"):$(id -g "$run_as")
		chown "$owner" "$sandbox" || die 77 "cannot give $sandbox to user $run_as"
		if [ -n "$data" ]; then
			mkdir -p "$data" || die 74 "cannot create $data"
			if [ "$(ls -ldn "$data" | awk '{ print $3 ":" $4 }')" != "$owner" ]; then
				chown -R "$owner" "$data" || die 74 "cannot give $data to user $run_as"
			fi
			chown "$owner" "$sandbox/$volume/." || die 74 "cannot give the volume $volume to user $run_as"
		fi
		(as_user "$run_as" test -r "$bundle/boot.sh") || die 77 "user $run_as cannot read $bundle/boot.sh; make the folders above it passable"
		as_user "$run_as" sh "$bundle/boot.sh"
	fi
	if [ -n "$data" ]; then
		mkdir -p "$data" 2>/dev/null && [ -w "$data" ] ||
			die 74 "user $(id -un) cannot write $data; give the volume to that user"
		# A volume may be a link: the security manager of Elasticsearch 5, from Java 9 on, knows only the path it is told.
		data=$(cd "$data" && pwd -P)
	else
		data=$sandbox/data
		mkdir -p "$data"
	fi
	mkdir -p "$sandbox/logs" "$sandbox/tmp" || die 74 "user $(id -un) cannot write the sandbox $sandbox"
}

# node_name HOST TASK_ID: the same for every run of an instance, and the same seen from any other node, since both are
# in Marathon's task list. Where two nodes may share a host, the instance tells them apart. render.NodeName is its twin.
node_name() {
	if [ -n "$unique" ]; then
		printf '%s-%s\n' "$node_prefix" "$1"
	else
		printf '%s-%s-%.8s\n' "$node_prefix" "$1" "$(instance_of "$2")"
	fi
}

name_node() {
	instance=$(instance_of "${MESOS_TASK_ID:-unknown}")
	name=$(node_name "$HOST" "${MESOS_TASK_ID:-unknown}")
}

# missing_plugins lists the lines of plugins.txt whose plugin is not in $home.
missing_plugins() {
	[ -f "$bundle/plugins.txt" ] || return 0
	while read -r plugin url sum; do
		[ -d "$home/plugins/$plugin" ] || printf '%s %s %s\n' "$plugin" "$url" "$sum"
	done <"$bundle/plugins.txt"
}

# choose_home copies the distribution into the sandbox where a plugin must be added but the home is not ours to change:
# read-only, or on the agent, where other clusters use it too.
choose_home() {
	[ -x "$home/bin/$distribution" ] || die 64 "$home/bin/$distribution is not there on $HOST; set elasticsearch.home to where the distribution is unpacked"
	missing_plugins >"$sandbox/plugins.missing"
	if [ ! -s "$sandbox/plugins.missing" ]; then
		[ -d "$home/plugins" ] || mkdir "$home/plugins" 2>/dev/null || [ "$major" -gt 2 ] || copy_home
		return 0
	fi
	if [ -n "$home_shared" ] || [ ! -w "$home/plugins" ] || [ ! -w "$home/bin" ]; then
		copy_home
		missing_plugins >"$sandbox/plugins.missing"
	fi
}

# copy_home copies all but the JDK, which is large and does not care where it is called from.
copy_home() {
	say "copies $home into the sandbox, because plugins must be added to it"
	rm -rf "$sandbox/home"
	mkdir "$sandbox/home" || die 74 "cannot create $sandbox/home"
	for part in "$home"/*; do
		case ${part##*/} in
		jdk) ln -s "$part" "$sandbox/home/jdk" ;;
		logs | data) ;;
		*) cp -R "$part" "$sandbox/home/" || die 74 "cannot copy $part into the sandbox; give the app more disk" ;;
		esac
	done
	mkdir -p "$sandbox/home/plugins"
	home=$sandbox/home
	chmod -R u+w "$home/bin" "$home/config" "$home/plugins" 2>/dev/null
}

# choose_java gives the JDK of the host to a distribution that comes without one, where neither git nor the image says.
choose_java() {
	[ -z "$java_home${JAVA_HOME:-}${ES_JAVA_HOME:-}${OPENSEARCH_JAVA_HOME:-}" ] && [ ! -x "$home/jdk/bin/java" ] || return 0
	java_home=$(command -v java) || return 0 # the distribution's own message is clear
	java_home=$(readlink -f "$java_home")
	java_home=${java_home%/bin/java}
}

install_plugins() {
	while read -r plugin url sum; do
		source=$plugin
		if [ "$url" != - ]; then
			command -v sha512sum >/dev/null 2>&1 || die 69 "sha512sum is missing in this image; it is needed to check plugin $plugin"
			archive=$sandbox/tmp/$plugin.zip
			fetch_seconds=600 fetch "$url" "$archive" ||
				die 71 "cannot download plugin $plugin from $url: $(tail -n 1 "$archive.error")"
			have=$(sha512sum "$archive" | cut -d ' ' -f 1)
			[ "$have" = "$sum" ] ||
				die 71 "plugin $plugin from $url has sha512 $have, but git says $sum; somebody replaced the file, or the sum in git is wrong"
			source=file://$archive
		fi
		say "installs plugin $plugin"
		plugin_tool "$source" >"$sandbox/tmp/plugin.log" 2>&1 </dev/null ||
			die 71 "cannot install plugin $plugin: $(tail -n 3 "$sandbox/tmp/plugin.log" | tr '\n' ' ')"
		[ -d "$home/plugins/$plugin" ] ||
			die 71 "the archive for plugin $plugin holds a plugin of another name; plugins present: $(ls "$home/plugins" | tr '\n' ' ')"
	done <"$sandbox/plugins.missing"
}

plugin_tool() {
	if [ "$distribution" = elasticsearch ] && [ "$major" -lt 5 ]; then
		java_environment "$home/bin/plugin" install -b "$1"
	else
		java_environment "$home/bin/$distribution-plugin" install --batch "$1"
	fi
}

# java_environment COMMAND...: with the JDK that git names, if any.
java_environment() {
	if [ -n "$java_home" ]; then
		JAVA_HOME=$java_home ES_JAVA_HOME=$java_home OPENSEARCH_JAVA_HOME=$java_home "$@"
	else
		"$@"
	fi
}

# write_config makes the node's own configuration folder: what the distribution ships, then files/ from git.
write_config() {
	config=$sandbox/config
	mkdir -p "$config"
	for part in "$home"/config/*; do
		case ${part##*/} in
		elasticsearch.yml | opensearch.yml | '*') ;;
		*) cp -R "$part" "$config/" || die 74 "cannot copy $part" ;;
		esac
	done
	if [ -d "$bundle/files" ]; then
		cp -R "$bundle/files/." "$config/" || die 74 "cannot copy files from the bundle"
	fi
	[ "$major" -lt 5 ] && [ "$distribution" = elasticsearch ] || write_jvm_options
}

# write_jvm_options keeps what is shipped or in git's files/jvm.options, but for the heap. Paths in it are relative to
# the home, where a node may not write.
write_jvm_options() {
	if [ -f "$config/jvm.options" ]; then
		sed -e '/^[0-9:-]*-Xm[sx]/d' -e "s|=data\$|=$sandbox/logs|" -e "s|\\([=:]\\)logs/|\\1$sandbox/logs/|g" \
			"$config/jvm.options" >"$sandbox/tmp/jvm.options"
	else
		: >"$sandbox/tmp/jvm.options"
	fi
	# Without it the JVM takes /tmp, and Elasticsearch 8.19 refuses a temporary folder that holds its configuration.
	grep -q '^-Djava.io.tmpdir=' "$sandbox/tmp/jvm.options" || echo "-Djava.io.tmpdir=$sandbox/tmp" >>"$sandbox/tmp/jvm.options"
	printf '%s\n' "-Xms${heap_mib}m" "-Xmx${heap_mib}m" >>"$sandbox/tmp/jvm.options"
	cat "$sandbox/tmp/jvm.options" >"$config/jvm.options" || die 74 "cannot write $config/jvm.options"
}

# resolve_ring finds the seeds: the discovery app's tasks. What was found is kept in the volume, so that a node can
# restart while Marathon is away.
resolve_ring() {
	if [ "$discovery" = static ]; then
		seeds="\"$ring_address\""
		return
	fi
	kept=$sandbox/${volume:-tmp}/ring
	waited=0
	until ring_now; do
		if [ "$waited" -ge "$patience" ]; then
			[ -s "$kept" ] || die 72 "found no running task of $ring_app in $waited s ($ring_why); the node cannot find its cluster"
			say "found no running task of $ring_app in $waited s ($ring_why); goes on with the last known ring"
			seeds=$(cat "$kept")
			return
		fi
		[ "$waited" != 0 ] || say "waits for a running task of $ring_app: $ring_why"
		sleep 2
		waited=$((waited + 2))
	done
	printf '%s\n' "$seeds" >"$kept"
}

ring_now() {
	if ! marathon "/v2/apps$ring_app" "$sandbox/tmp/ring"; then
		ring_why="Marathon at $ESFLEET_MARATHON does not answer, or does not know it"
		return 1
	fi
	seeds=$(tasks_of "$sandbox/tmp/ring" TASK_RUNNING | sort |
		awk -v port="$ring_port" '{ printf "%s\"%s:%s\"", (NR > 1 ? ", " : ""), $2, port }')
	ring_why="it has none"
	[ -n "$seeds" ] || return 1
	seeds=$seeds$(older_seeds)
}

# older_seeds are the nodes of the generation before, where they are the masters: the ring leads to the new ones, which
# nobody has let in yet.
older_seeds() {
	[ -n "$older_app" ] || return 0
	marathon "/v2/apps$older_app" "$sandbox/tmp/older" || return 0
	tasks_of "$sandbox/tmp/older" TASK_RUNNING | sort | awk '$4 != "-" { printf ", \"%s:%s\"", $2, $4 }'
}

# setting KEY VALUE: VALUE is YAML.
setting() { printf '%s: %s\n' "$1" "$2" >>"$yml"; }

# has PREFIX: whether git sets a key that begins so.
has() { awk -v p="$1" 'index($0, p) == 1 { found = 1 } END { exit !found }' "$yml"; }

write_settings() {
	yml=$config/$distribution.yml
	from=$bundle/config/elasticsearch.yml
	[ ! -f "$bundle/config/hosts/$HOST.yml" ] || from=$bundle/config/hosts/$HOST.yml
	rm -f "$yml"
	cat "$from" >"$yml" || die 74 "cannot write $yml"
	setting node.name "\"$name\""
	setting "${key_attr}esfleet_bundle" "\"$digest\""
	setting "${key_attr}esfleet_component" "\"$component\""
	setting "${key_attr}esfleet_instance" "\"$instance\""
	setting network.host "\"$HOST\""
	case $HOST in
	127.*) ;;
	*)
		# Mesos checks a task's health on its loopback address.
		setting http.bind_host "[\"$HOST\", \"127.0.0.1\"]"
		setting http.publish_host "\"$HOST\""
		;;
	esac
	setting http.port "$http_port"
	setting "$key_port" "$transport_port"
	setting path.data "\"$data\""
	setting path.logs "\"$sandbox/logs\""
	setting "$key_seeds" "[$seeds]"
	security_settings
}

# security_settings turns security off where it is on by default and git says nothing about it: without certificates a
# node would not start. The keys are unknown, and refused, where the module is not there.
security_settings() {
	if [ -d "$home/modules/x-pack-security" ] && [ "$major" -ge 7 ] && ! has xpack.security.; then
		setting xpack.security.enabled false
	fi
	if [ -d "$home/plugins/opensearch-security" ] && ! has plugins.security.; then
		setting plugins.security.disabled true
	fi
}

# first_formation writes the list of the first masters, on the very first start of a cluster and never again. A list
# once written is kept in the volume: a node that dies before the cluster has formed must come back with the same one.
first_formation() {
	[ -n "$key_initial" ] && [ -n "$volume" ] || return 0
	remembered=$sandbox/$volume/first-masters
	if [ ! -s "$remembered" ] && [ -n "$(ls -A "$data" | grep -v '^lost+found$')" ]; then
		return 0
	fi
	waited=0
	until formation_now; do
		[ "$waited" -lt "$patience" ] || die 73 "cannot form the cluster: $formation_why (after $waited s)"
		[ "$((waited % 30))" != 0 ] || say "waits to form the cluster: $formation_why"
		sleep 2
		waited=$((waited + 2))
	done
}

# formation_now is true once it is decided whether and with which masters to form.
formation_now() {
	if ! marathon "/v2/apps$gate_app" "$sandbox/tmp/gate"; then
		formation_why="Marathon at $ESFLEET_MARATHON does not answer, or does not know $gate_app"
		return 1
	fi
	uuid=$(awk -F '\t' '$1 == "/app/labels/esfleet.cluster-uuid" { print $2 }' "$sandbox/tmp/gate")
	if [ -n "$uuid" ]; then
		say "cluster $uuid was formed before; this node only joins"
		rm -f "$remembered"
		return 0
	fi
	if [ ! -s "$remembered" ]; then
		first_masters || return 1
		printf '%s\n' "$masters" >"$remembered.new" && mv "$remembered.new" "$remembered" ||
			die 74 "cannot write $remembered"
	fi
	say "forms the cluster with $(cat "$remembered")"
	setting "$key_initial" "[$(cat "$remembered")]"
}

# first_masters is the same list on every master: the names of all instances, once all are placed.
first_masters() {
	if ! marathon "/v2/apps$app" "$sandbox/tmp/masters"; then
		formation_why="Marathon at $ESFLEET_MARATHON does not answer"
		return 1
	fi
	if [ -n "$older_app" ] && marathon "/v2/apps$older_app" "$sandbox/tmp/older" &&
		[ -n "$(tasks_of "$sandbox/tmp/older" 'TASK_RUNNING TASK_STARTING TASK_STAGING')" ]; then
		formation_why="nodes of $older_app run: their cluster is to be joined, once esfleet has recorded it"
		return 1
	fi
	wanted=$(awk -F '\t' '$1 == "/app/instances" { print $2 }' "$sandbox/tmp/masters")
	masters=$(tasks_of "$sandbox/tmp/masters" 'TASK_RUNNING TASK_STARTING TASK_STAGING' | while read -r id host _; do
		node_name "$host" "$id"
	done | sort -u)
	placed=$(printf '%s\n' "$masters" | grep -c .)
	formation_why="$placed of $wanted masters are placed"
	[ "$placed" = "$wanted" ] || return 1
	masters=$(printf '%s\n' "$masters" | awk '{ printf "%s\"%s\"", (NR > 1 ? ", " : ""), $0 }')
}

# pre_run runs the cluster's own script. Its output goes to the task's stdout as it comes.
pre_run() {
	export ESFLEET_NODE_NAME="$name" ESFLEET_HOST="$HOST" ESFLEET_COMPONENT="$component" ESFLEET_INSTANCE="$instance" \
		ESFLEET_VERSION="$version" ESFLEET_HOME="$home" ESFLEET_CONFIG="$config" ESFLEET_DATA="$data" \
		ESFLEET_HTTP_PORT="$http_port" ESFLEET_TRANSPORT_PORT="$transport_port"
	[ -f "$bundle/pre-run.sh" ] || return 0
	read -r first_line <"$bundle/pre-run.sh" || :
	case $first_line in
	'#!'*) interpreter=${first_line#??} ;;
	*) interpreter=sh ;;
	esac
	say "runs pre-run.sh"
	# Not executed directly: a sandbox may be mounted noexec.
	# shellcheck disable=SC2086
	{
		$interpreter "$bundle/pre-run.sh" </dev/null 2>&1
		echo $? >"$sandbox/tmp/pre-run.code"
	} | tee "$sandbox/logs/pre-run.log"
	pre_run_code=$(cat "$sandbox/tmp/pre-run.code")
	[ "$pre_run_code" = 0 ] ||
		die 70 "pre-run.sh failed with exit code $pre_run_code on $HOST: $(tail -n 3 "$sandbox/logs/pre-run.log" | tr '\n' ' ' | cut -c 1-500)"
}

# start becomes the node.
start() {
	say "starts $distribution $version as $name on $HOST:$http_port and $HOST:$transport_port"
	unset ESFLEET_MARATHON
	if [ -n "$java_home" ]; then
		export JAVA_HOME="$java_home" ES_JAVA_HOME="$java_home" OPENSEARCH_JAVA_HOME="$java_home"
	fi
	export ES_TMPDIR="$sandbox/tmp" OPENSEARCH_TMPDIR="$sandbox/tmp"
	if [ "$distribution" = opensearch ]; then
		export OPENSEARCH_PATH_CONF="$config"
		exec "$home/bin/opensearch"
	elif [ "$major" -lt 5 ]; then
		export ES_HEAP_SIZE="${heap_mib}m"
		exec "$home/bin/elasticsearch" -Des.path.conf="$config"
	elif [ "$major" -lt 6 ]; then
		export ES_JVM_OPTIONS="$config/jvm.options"
		exec "$home/bin/elasticsearch" -Epath.conf="$config"
	fi
	export ES_PATH_CONF="$config"
	exec "$home/bin/elasticsearch"
}
