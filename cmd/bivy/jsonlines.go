package main

import (
	"encoding/json"
	"sync"
	"unicode/utf8"
)

// jsonLines prints a command's streams as JSON lines, one for each piece that
// arrives: {"stream":"stdout","data":"…"}, or data_base64 where it is not
// UTF-8. A character that two pieces share is kept whole.
type jsonLines struct {
	ui *UI
	mu sync.Mutex
}

func (j *jsonLines) stream(name string) *jsonStream { return &jsonStream{lines: j, name: name} }

type jsonStream struct {
	lines *jsonLines
	name  string
	held  []byte
}

type jsonPiece struct {
	Stream string  `json:"stream"`
	Data   *string `json:"data,omitempty"`
	Base64 []byte  `json:"data_base64,omitempty"`
}

func (s *jsonStream) Write(p []byte) (int, error) {
	data := append(s.held, p...)
	keep := unfinished(data)
	s.held = append([]byte(nil), data[len(data)-keep:]...)
	return len(p), s.print(data[:len(data)-keep])
}

// flush prints what was held back at the end of the stream.
func (s *jsonStream) flush() {
	held := s.held
	s.held = nil
	_ = s.print(held)
}

func (s *jsonStream) print(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	piece := jsonPiece{Stream: s.name}
	if utf8.Valid(data) {
		text := string(data)
		piece.Data = &text
	} else {
		piece.Base64 = data
	}
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	enc := json.NewEncoder(s.lines.ui.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(piece)
}

// unfinished is the length of a beginning of a character at the end of data.
func unfinished(data []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if tail := data[len(data)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}
