import type { Answer } from '~/api/types'
import { format, Meter, Section, Snippet, Status } from '~/parts'
import classes from './cluster.module.css'

interface Props {
  cluster: Answer<'/v1/cluster'>
  status: Answer<'/v1/status'>
}

/** Bars of what the machine has, its disks, and what its sandboxes lack. */
export function Machine({ cluster, status }: Props) {
  const { machine, totals } = cluster
  const cores = Math.min(totals.cores_busy, machine.capacity.cores)
  const lacking = status.sandbox.features.filter((one) => !one.ok)
  return (
    <>
      <Section title="Machine">
        <div className={`pc-card ${classes.meters}`}>
          <Meter label="Cores that jobs have" value={cores} of={machine.capacity.cores} said={`${cores} of ${machine.capacity.cores}`} />
          <Meter label="CPU" value={machine.cpu_percent} of={100} said={`${machine.cpu_percent.toFixed(0)} %`} tone={machine.cpu_percent > 95 ? 'warns' : 'accent'} />
          <Meter label="Memory" value={machine.memory_used} of={machine.memory} said={`${format.bytes(machine.memory_used)} of ${format.bytes(machine.memory)}`} tone={machine.memory_used > 0.95 * machine.memory ? 'bad' : 'accent'} />
          {status.disks.map((disk) => (
            <Meter key={disk.folder} label={`Disk of ${disk.folder}`} value={disk.total - disk.free} of={disk.total} said={`${format.bytes(disk.free)} free of ${format.bytes(disk.total)}`} tone={disk.free < disk.total * 0.1 ? 'bad' : 'accent'} />
          ))}
        </div>
      </Section>
      {lacking.length > 0 && (
        <Section title="What the sandboxes lack">
          <ul className={`pc-card ${classes.features}`}>
            {lacking.map((one) => (
              <li key={one.name}>
                <Status state="paused">{one.name}</Status>
                <div>{one.text}</div>
                {one.remedy && <Snippet code={one.remedy} />}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  )
}
