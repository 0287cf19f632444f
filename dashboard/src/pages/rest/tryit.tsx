import { Button, FileInput, Group, Select, Stack, Textarea, TextInput } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { Link } from 'wouter'
import { useAction } from '~/api/action'
import { linked } from '~/layout/linked'
import { to } from '~/layout/routes'
import { call, type Outcome } from './call'
import { Answer, Failed } from './outcome'
import { collect, type Endpoint, type Filled, kindWords, type Parameter } from './signature'
import classes from './rest.module.css'

interface Props {
  endpoint: Endpoint
  filled: Filled
  fill: (filled: Filled) => void
}

/** A form made from the signature; calls the function and shows what it answers. */
export function TryIt({ endpoint, filled, fill }: Props) {
  const [told, tell] = useState(false)
  const [jid, setJid] = useState<number>()
  const [outcome, setOutcome] = useState<Outcome>()
  const stop = useRef<AbortController>(undefined)
  useEffect(() => () => stop.current?.abort(), [])
  const { ready, wrong } = collect(endpoint, filled)
  const invoke = useAction(
    async () => {
      if (!ready) return
      stop.current = new AbortController()
      setOutcome(undefined)
      setJid(undefined)
      setOutcome(await call(endpoint.path, ready, setJid, stop.current.signal))
    },
    { quiet: true },
  )
  const number = outcome?.jid ?? jid
  const job = number !== undefined && linked(to.job(number))
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        tell(true)
        if (ready) void invoke.run()
      }}
    >
      <Stack gap="sm">
        {endpoint.parameters.length === 0 && !endpoint.others && <div className="pc-dim">It takes no arguments.</div>}
        {endpoint.parameters.map((one) => (
          <Field key={one.name} parameter={one} filled={filled} fill={fill} wrong={told ? wrong[one.name] : undefined} />
        ))}
        {endpoint.others && (
          <Textarea label="Further arguments" description="A JSON object of arguments of other names" autosize minRows={2} classNames={{ input: 'pc-mono' }} value={filled.others} onChange={(event) => fill({ ...filled, others: event.currentTarget.value })} error={wrong['']} />
        )}
        <Group gap="sm">
          <Button type="submit" loading={invoke.busy}>
            Call it
          </Button>
          <span role="status" className="pc-dim">
            {number !== undefined && (
              <>
                {invoke.busy ? 'Runs as' : 'Ran as'} {job ? <Link href={job}>job {number}</Link> : `job ${number}`}
              </>
            )}
          </span>
        </Group>
        {outcome && !invoke.busy && <Answer outcome={outcome} label={endpoint.label} />}
        {!invoke.busy && <Failed error={invoke.error} />}
      </Stack>
    </form>
  )
}

interface FieldProps {
  parameter: Parameter
  filled: Filled
  fill: (filled: Filled) => void
  wrong: string | undefined
}

const DIM = { placeholder: { color: 'var(--pc-text-dim)' } }

/** One argument, by its type. */
function Field({ parameter: one, filled, fill, wrong }: FieldProps) {
  const text = filled.texts[one.name] ?? ''
  const write = (value: string) => fill({ ...filled, texts: { ...filled.texts, [one.name]: value } })
  const attach = (file: File | null) => {
    const files = new Map(Object.entries(filled.files))
    if (file) files.set(one.name, file)
    else files.delete(one.name)
    fill({ ...filled, files: Object.fromEntries(files) })
  }
  const usual = one.required ? '' : one.default || 'its default'
  const common = { label: <span className="pc-mono">{one.name}</span>, description: kindWords(one), error: wrong, withAsterisk: one.required, classNames: { label: classes.wrap } }
  const file = filled.files[one.name] ?? null
  if (one.kind === 'file') return <FileInput {...common} styles={DIM} placeholder="Choose a file" clearable value={file} onChange={attach} clearButtonProps={{ 'aria-label': 'Take the file away' }} />
  if (one.kind === 'boolean') {
    const words = ['true', 'false', ...(one.null ? ['null'] : [])]
    return <Select {...common} data={words} placeholder={usual} clearable={!one.required} clearButtonProps={{ 'aria-label': 'Clear' }} value={text || null} onChange={(value) => write(value ?? '')} />
  }
  if (one.kind === 'integer' || one.kind === 'number') return <TextInput {...common} inputMode={one.kind === 'integer' ? 'numeric' : 'decimal'} placeholder={usual} value={text} onChange={(event) => write(event.currentTarget.value)} autoComplete="off" />
  return (
    <div>
      <Textarea {...common} autosize minRows={one.kind === 'string' ? 1 : 2} maxRows={12} placeholder={usual} value={text} disabled={Boolean(file)} onChange={(event) => write(event.currentTarget.value)} />
      {one.kind === '' && <FileInput mt={4} styles={DIM} size="xs" placeholder="or a file" clearable value={file} onChange={attach} clearButtonProps={{ 'aria-label': 'Take the file away' }} />}
    </div>
  )
}
