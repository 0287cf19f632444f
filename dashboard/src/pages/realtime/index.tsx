export default function Cron() { return null }
