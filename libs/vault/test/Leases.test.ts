import { Leases } from "@tributary/vault"
import { leasesConformance } from "./LeasesConformance.ts"

leasesConformance("Leases.layerMemory", Leases.layerMemory)
