/**
 * Which addresses a client may call. A graph's author gives a name, and who answers for the name decides where it leads: to
 * this machine, to a neighbour that trusts this network, or to a cloud's metadata service, which hands out credentials. All
 * that is not public is refused unless a network is listed (OWASP, Server-Side Request Forgery Prevention; the special-purpose
 * registries of RFC 6890).
 */
import { BlockList, isIP } from "node:net";

/** Special-purpose networks of IPv4, metadata services among the link-local ones. */
const REFUSED_V4 =
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4";
/** Of IPv6 all but global unicast, and in it what stands for other addresses: Teredo, documentation, 6to4. */
const REFUSED_V6 = "::/3 2001::/23 2001:db8::/32 2002::/16 4000::/2 8000::/1";

export class AddressGuard {
  readonly #refused: Networks = networksOf([...REFUSED_V4.split(" "), ...REFUSED_V6.split(" ")]);
  readonly #allowed: Networks;

  /** @param allow networks, `127.0.0.0/8` @throws TypeError one of them is none */
  constructor(allow: readonly string[]) {
    this.#allowed = networksOf(allow);
  }

  /** Whether `address`, an IP address as text, may be called. */
  permits(address: string): boolean {
    const plain = mappedV4(address);
    const version = isIP(plain);
    if (version === 0) return false;
    const family = version === 4 ? "ipv4" : "ipv6";
    return this.#allowed[family].check(plain, family) || !this.#refused[family].check(plain, family);
  }
}

/** An IPv4 address in IPv6's clothes is judged as what it is. */
function mappedV4(address: string): string {
  const bare = address.replace(/%.*$/, "");
  const [, dotted, high, low] = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(bare) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return bare;
  const value = Number.parseInt(high, 16) * 0x1_0000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}

/** One list for each version: a single one takes IPv4 addresses for the IPv6 addresses that they map to, and `::/3` for all. */
type Networks = Readonly<Record<"ipv4" | "ipv6", BlockList>>;

function networksOf(networks: readonly string[]): Networks {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const network of networks) {
    const [address = "", bits = ""] = network.split("/");
    const family = address.includes(":") ? "ipv6" : "ipv4";
    lists[family].addSubnet(address, Number(bits), family);
  }
  return lists;
}
