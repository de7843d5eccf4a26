package bootstrap

// The exit codes of the boot scripts. Marathon shows no more of a failed task than "Command exited with status 70".
const (
	ExitUsage     = 64 // the task was not started as a Marathon app of esfleet's is
	ExitBundle    = 65
	ExitTool      = 69
	ExitPreRun    = 70
	ExitPlugin    = 71
	ExitRing      = 72
	ExitFormation = 73
	ExitDisk      = 74
	ExitUser      = 77
	ExitHAProxy   = 78
)

// Reason says in one line what an exit code of a boot script means; "" for a code that is not one. Elasticsearch itself
// ends with 78 as well, where its own bootstrap checks fail.
func Reason(code int) string {
	switch code {
	case ExitUsage:
		return "the task lacks what Marathon gives to an app of esfleet's, or the distribution is not where elasticsearch.home says"
	case ExitBundle:
		return "the bundle in the app's environment was changed by hand"
	case ExitTool:
		return "the host or image lacks a program that the boot script needs"
	case ExitPreRun:
		return "pre-run.sh failed"
	case ExitPlugin:
		return "a plugin could not be installed"
	case ExitRing:
		return "no running discovery task, or no running node, was found"
	case ExitFormation:
		return "not all masters were placed, so the cluster could not form"
	case ExitDisk:
		return "the volume or the sandbox could not be written"
	case ExitUser:
		return "the node could not be run as a user that is not root"
	case ExitHAProxy:
		return "HAProxy ended, or Elasticsearch's bootstrap checks failed"
	}
	return ""
}
