import NodeConfiguration
import Testing

struct NetworkAddressTests {
    @Test(arguments: [
        ("127.0.0.1:7400", "127.0.0.1", 7400), ("[::1]:0", "::1", 0), ("localhost:65535", "127.0.0.1", 65535),
        ("0.0.0.0:1", "0.0.0.0", 1), ("coordinator-1.internal:7400", "coordinator-1.internal", 7400),
    ])
    func hostAndPortAreRead(text: String, host: String, port: Int) {
        #expect(NetworkAddress(text) == NetworkAddress(host: host, port: port))
    }

    @Test(arguments: [
        "", ":", "7400", "127.0.0.1", "127.0.0.1:", ":7400", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
        "127.0.0.1: 1", "127.0.0:7400", "256.0.0.1:7400", "::1:7400", "[::1]", "[::1]7400", "[127.0.0.1]:7400",
        "[::g]:7400", "a b:7400", "-a:7400", "a-:7400", "a..b:7400", "a\0b:7400", "127.0.0.1:99999999999999999999",
    ])
    func malformedTextIsRefused(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test(arguments: ["127.0.0.1:1", "127.255.255.254:1", "[::1]:1", "[0:0:0:0:0:0:0:1]:1", "localhost:1"])
    func loopbackIsRecognized(text: String) throws {
        #expect(try #require(NetworkAddress(text)).isLoopback)
    }

    @Test(arguments: ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "[::2]:1", "[fe80::1]:1", "example.org:1"])
    func everythingElseIsNotLoopback(text: String) throws {
        #expect(try #require(NetworkAddress(text)).isLoopback == false)
    }

    @Test func descriptionsAreReadBack() throws {
        for text in ["127.0.0.1:7400", "[::1]:7400", "a.b:1"] {
            #expect(try #require(NetworkAddress(text)).description == text)
        }
    }

    @Test func addressesClashOnOnePortAndOneInterface() {
        let address = NetworkAddress(host: "127.0.0.1", port: 7400)
        #expect(address.clashes(with: address))
        #expect(address.clashes(with: NetworkAddress(host: "0.0.0.0", port: 7400)))
        #expect(!address.clashes(with: NetworkAddress(host: "127.0.0.2", port: 7400)))
        #expect(!address.clashes(with: NetworkAddress(host: "127.0.0.1", port: 7401)))
        let anyPort = NetworkAddress(host: "127.0.0.1", port: 0)
        #expect(!anyPort.clashes(with: anyPort))
    }
}
