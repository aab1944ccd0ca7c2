export { Budgets, type Rate } from "@tributary/vault"
