// A TLS server as Go programs have it: its complaints about clients go to standard error.
//
// Arguments: address, certificate, key.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/readyz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprint(answer, "ok") })
	fmt.Println("listening")
	log.Fatal(http.ServeTLS(listener, nil, os.Args[2], os.Args[3]))
}
