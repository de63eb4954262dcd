// Copyright 2026 The Opsrelay Authors
// SPDX-License-Identifier: Apache-2.0

// Command forward makes a loopback address reachable from outside: it runs in
// the network of another container, whose program listens at 127.0.0.1 alone.
//
//	forward :9000 127.0.0.1:34567
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: forward LISTEN TARGET")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "forward:", serve(os.Args[1], os.Args[2]))
	os.Exit(1)
}

// serve returns when it cannot listen, or not any more.
func serve(address, target string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("forwarding to", target)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go forward(conn, target)
	}
}

// forward ends with the answer's end: the target is an HTTP server, which closes
// when its client does.
func forward(conn net.Conn, target string) {
	defer func() { _ = conn.Close() }() // everything was sent, or nobody listens
	out, err := net.Dial("tcp", target) //nolint:gosec // where to is what it is told
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		return
	}
	defer func() { _ = out.Close() }() // the same
	go func() {
		_, _ = io.Copy(out, conn) // a client that goes away is no failure
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, out) // nor is a server that does
}
