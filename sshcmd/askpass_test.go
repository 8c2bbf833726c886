package sshcmd

import "testing"

func TestAskpass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env               []string
		alone, atTerminal bool
	}{
		{nil, false, false},
		{[]string{"DISPLAY=:0", "SSH_ASKPASS_REQUIRE=force"}, false, false},
		{[]string{"SSH_ASKPASS=/bin/ask"}, false, false},
		{[]string{"SSH_ASKPASS=", "DISPLAY=:0"}, false, false},
		{[]string{"SSH_ASKPASS=/bin/ask", "DISPLAY="}, false, false},
		{[]string{"SSH_ASKPASS=/bin/ask", "DISPLAY=:0"}, true, false},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=force"}, true, true},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=FORCE"}, true, true},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=prefer"}, false, false},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=prefer", "DISPLAY=:0"}, true, true},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=never", "DISPLAY=:0"}, false, false},
		{[]string{"SSH_ASKPASS=/bin/ask", "SSH_ASKPASS_REQUIRE=what", "DISPLAY=:0"}, true, false},
	} {
		if got := Askpass(c.env, false); got != c.alone {
			t.Errorf("Askpass(%q) = %v", c.env, got)
		}
		if got := Askpass(c.env, true); got != c.atTerminal {
			t.Errorf("Askpass(%q) at a terminal = %v", c.env, got)
		}
	}
}
