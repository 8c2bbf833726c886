package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"bivy/exec/file"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/integration/link"
	"bivy/sshcmd"
)

// smallFile is what an agent reads and writes most: 1 KiB.
var smallFile = strings.Repeat("sixteen letters\n", 64)

// measureFiles compares operations on small files with plain ssh and sftp: in a
// lane of a process that lives long, and as one command.
func measureFiles(ctx context.Context, b *bench, o options) ([]figure, error) {
	path := filepath.Join(b.server.Home, "small")
	if err := os.WriteFile(path, []byte(smallFile), 0o600); err != nil {
		return nil, err
	}
	one := figure{Name: "bivy fs read of 1 KiB", Against: "ssh -S cat", Kind: slowdown, Unit: "ms", Goal: 0.9}
	var err error
	one.Bivys, one.Plains, err = b.inTurn(ctx, o.Calls, []string{b.bivy, "fs", "read", "--host", host, "small"}, b.plain("cat small"))
	if err != nil {
		return nil, err
	}
	near, err := b.inLane(ctx, host, o.Calls, laneGoals{read: 0.2, write: 0.35})
	if err != nil {
		return nil, err
	}
	far, err := b.farAway(ctx, func() ([]figure, error) {
		figures, err := b.inLane(ctx, farHost, max(o.Calls/4, 1), laneGoals{read: 0.5, write: 0.5, name: ", 40 ms"})
		if err != nil {
			return nil, err
		}
		beside, err := b.besideSFTP(ctx, max(o.Calls/4, 1))
		return append(figures, beside), err
	})
	return append(append([]figure{one.settle()}, near...), far...), err
}

// farAway runs a measurement over a master whose link takes 40 ms there and back.
func (b *bench) farAway(ctx context.Context, do func() ([]figure, error)) ([]figure, error) {
	err := b.t.run(func() {
		l := link.Start(b.t, b.server.Addr)
		b.server.HostAt(b.t, farHost, l.Addr())
		l.Delay(oneWay)
	})
	if err != nil {
		return nil, err
	}
	before := b.socket
	defer func() { b.socket = before }()
	if _, err := b.time(ctx, b.bivy, "exec", "--host", farHost, "--", "true"); err != nil {
		return nil, err
	}
	defer b.time(context.WithoutCancel(ctx), b.bivy, "host", "close", farHost) //nolint:errcheck // it ends with the link, too
	if b.socket, err = findSocket(filepath.Join(b.dir, "b", "m"), before); err != nil {
		return nil, err
	}
	return do()
}

type laneGoals struct {
	read, write float64
	name        string
}

// files are those of a host, worked on in lanes.
func (b *bench) files(ctx context.Context, name string) (*file.FS, func(), error) {
	masters, err := b.masters()
	if err != nil {
		return nil, nil, err
	}
	target := mux.Target{Host: sshcmd.Host(name), User: sshcmd.User{ConfigFile: b.server.ConfigFile}}
	lanes := file.InLanes(ctx, masters, target)
	return &file.FS{Runner: lanes}, lanes.Pool.Close, nil
}

// inLane reads, writes and looks at a file of 1 KiB.
func (b *bench) inLane(ctx context.Context, name string, calls int, goals laneGoals) ([]figure, error) {
	files, done, err := b.files(ctx, name)
	if err != nil {
		return nil, err
	}
	defer done()
	figures := []figure{
		{Name: "1 KiB in a lane, read" + goals.name, Against: "ssh -S cat", Kind: slowdown, Unit: "ms", Goal: goals.read},
		{Name: "  write" + goals.name, Against: "ssh -S 'cat >'", Kind: slowdown, Unit: "ms", Goal: goals.write},
		{Name: "  stat" + goals.name, Against: "ssh -S stat", Kind: slowdown, Unit: "ms"},
	}
	ours := []func() error{
		func() error {
			c, err := files.Read(ctx, "small", file.ReadOptions{})
			if err == nil && string(c.Data) != smallFile {
				err = errors.New("another content was read")
			}
			return err
		},
		func() error {
			_, err := files.Write(ctx, "small", []byte(smallFile), file.WriteOptions{})
			return err
		},
		func() error {
			_, err := files.Stat(ctx, []string{"small"}, file.StatOptions{})
			return err
		},
	}
	plains := []string{"cat small", "cat >other", "stat small"}
	for i := range calls + 1 {
		for k := range figures {
			began := now()
			if err := ours[k](); err != nil {
				return nil, err
			}
			inside := began.since()
			began = now()
			if err := b.must(ctx, proc.Spec{Args: b.plain(plains[k]), Env: b.env, Stdin: strings.NewReader(smallFile)}); err != nil {
				return nil, err
			}
			if i > 0 {
				figures[k].Bivys, figures[k].Plains = append(figures[k].Bivys, inside), append(figures[k].Plains, began.since())
			}
		}
	}
	for k := range figures {
		figures[k] = figures[k].settle()
	}
	return figures, nil
}

// besideSFTP reads the far file in a lane, and with an SFTP client whose session
// is open already.
func (b *bench) besideSFTP(ctx context.Context, calls int) (figure, error) {
	f := figure{Name: "  read, 40 ms", Against: "pkg/sftp open, read, close", Kind: slowdown, Unit: "ms", Goal: 0.25}
	files, done, err := b.files(ctx, farHost)
	if err != nil {
		return f, err
	}
	defer done()
	client, end, err := b.sftpClient(ctx)
	if err != nil {
		return f, err
	}
	defer end()
	for i := range calls + 1 {
		began := now()
		if _, err := files.Read(ctx, "small", file.ReadOptions{}); err != nil {
			return f, err
		}
		inside := began.since()
		began = now()
		if err := readSFTP(client); err != nil {
			return f, err
		}
		if i > 0 {
			f.Bivys, f.Plains = append(f.Bivys, inside), append(f.Plains, began.since())
		}
	}
	return f.settle(), nil
}

func readSFTP(client *sftp.Client) error {
	remote, err := client.Open("small")
	if err != nil {
		return err
	}
	data, err := io.ReadAll(remote)
	if err == nil && !bytes.Equal(data, []byte(smallFile)) {
		err = errors.New("sftp read another content")
	}
	return errors.Join(err, remote.Close())
}

// sftpClient speaks to the subsystem sftp in a session of plain ssh.
func (b *bench) sftpClient(ctx context.Context) (client *sftp.Client, end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	toRead, fromSSH := io.Pipe()
	fromUs, toWrite := io.Pipe()
	args := b.plain("sftp")
	args = append(args[:1:1], append([]string{"-s"}, args[1:]...)...)
	ended := make(chan struct{})
	go func() {
		_, err := proc.Run(ctx, proc.Spec{Args: args, Env: b.env, Stdin: fromUs, Stdout: fromSSH, Grace: time.Second})
		_ = fromSSH.CloseWithError(errors.Join(err, io.EOF))
		_ = fromUs.CloseWithError(io.ErrClosedPipe)
		close(ended)
	}()
	end = func() {
		cancel()
		_ = toWrite.Close()
		<-ended
	}
	client, err = sftp.NewClientPipe(toRead, toWrite)
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("start sftp: %w", err)
	}
	return client, end, nil
}
