package sshcmd

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckOption(t *testing.T) {
	for _, tc := range []struct{ option, reason string }{
		{"Port=2222", ""},
		{"Port 2222", ""},
		{" port\t=  2222 ", ""},
		{"ProxyCommand=nc -X 5 %h %p", ""},
		{"StrictHostKeyChecking=yes", ""},
		{"ServerAliveInterval=60", ""},
		{"ServerAliveCountMax 5", ""},
		{"ConnectTimeout=5", ""},
		{"IdentityFile=~/a b", ""},
		{"NoSuchOption=1", ""},

		{"ForwardAgent=yes", whyLeak},
		{"forwardAGENT yes", whyLeak},
		{"ForwardX11=yes", whyLeak},
		{"ForwardX11Trusted=yes", whyLeak},
		{"ForwardX11Timeout=1", whyLeak},
		{"GSSAPIDelegateCredentials=yes", whyLeak},
		{"Tunnel=yes", whyLeak},
		{"TunnelDevice=1:1", whyLeak},
		{"LocalForward=1 localhost:1", whyLeak},
		{"RemoteForward 1 localhost:1", whyLeak},
		{"DynamicForward=1080", whyLeak},
		{"ClearAllForwardings=no", whyLeak},
		{"SendEnv=*", whyEnv},
		{"SetEnv=A=1", whyEnv},
		{"RemoteCommand=x", whySession},
		{"RequestTTY=force", whySession},
		{"SessionType=none", whySession},
		{"StdinNull=yes", whySession},
		{"EscapeChar=none", whySession},
		{"ForkAfterAuthentication=yes", whyMaster},
		{"ControlMaster=auto", whyMaster},
		{"ControlPath=/x", whyMaster},
		{"ControlPersist=1m", whyMaster},
		{"PermitLocalCommand=yes", whyLocal},
		{"LocalCommand=x", whyLocal},
		{"BatchMode=no", whyBatch},
		{"LogLevel=DEBUG", whyLogLevel},

		{"", "it is not KEY=VALUE"},
		{"Port", "it is not KEY=VALUE"},
		{"=22", "it is not KEY=VALUE"},
		{"-oPort=22", "it is not KEY=VALUE"},
		{`"ForwardAgent" yes`, "it is not KEY=VALUE"},
		{`"ForwardAgent"=yes`, "it is not KEY=VALUE"},
		{`ForwardAgent"yes"`, "it is not KEY=VALUE"},
		{"#Port=22", "it is not KEY=VALUE"},
		{"Port=22\nForwardAgent=yes", "it is not KEY=VALUE"},
		{"\rForwardAgent=yes", "it is not KEY=VALUE"},
		{"Port=", "it has no value"},
		{"Port = ", "it has no value"},
	} {
		err := CheckOption(tc.option)
		if tc.reason == "" {
			if err != nil {
				t.Errorf("CheckOption(%q) = %v, want it allowed", tc.option, err)
			}
			continue
		}
		var refused *OptionError
		if !errors.As(err, &refused) || refused.Option != tc.option || refused.Reason != tc.reason {
			t.Errorf("CheckOption(%q) = %v, want the reason %q", tc.option, err, tc.reason)
		}
	}
}

func TestOptionErrorText(t *testing.T) {
	want := `ssh option "BatchMode=no": use --batch`
	if err := CheckOption("BatchMode=no"); err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// Whatever is allowed must not set one of the fixed options: the key that ssh
// would read is found here in another way.
func FuzzCheckOption(f *testing.F) {
	for _, seed := range []string{"Port=22", "forwardagent = yes", `"SendEnv" *`, "\tTunnel\tyes", "A==b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, option string) {
		if CheckOption(option) != nil {
			return
		}
		key := strings.FieldsFunc(option, func(r rune) bool { return strings.ContainsRune(" \t\r\n=\"", r) })[0]
		if fixed[strings.ToLower(key)] != "" {
			t.Errorf("CheckOption(%q) allows %s", option, key)
		}
		if strings.ContainsAny(option, "\x00\n\r") {
			t.Errorf("CheckOption(%q) allows a control character", option)
		}
	})
}
